"""A watchdog that ends the process when work that has begun does not end."""

import math
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

EXIT_STALLED = 70


class Stalled(Exception):
    """There are records to read, and none was read for too long."""


class WorkProgress:
    """Finds partitions whose position does not move although they have more records."""

    def __init__(self, stall_seconds: float) -> None:
        self._stall = stall_seconds
        self._seen: Mapping[Any, int] = {}
        self._moved_at = time.monotonic()

    def suspect(self, positions: Mapping[Any, int], ends: Mapping[Any, int | None]) -> Any | None:
        """A partition that should have moved by now, or None.

        It is only a suspicion: what is left may be transaction markers, which are not records.
        """
        now = time.monotonic()
        waiting = [tp for tp, at in positions.items() if (ends.get(tp) or 0) > at]
        if not waiting or positions != self._seen:
            self._seen, self._moved_at = dict(positions), now
        elif now - self._moved_at > self._stall:
            self._moved_at = now
            return waiting[0]
        return None


class Watchdog:
    """Ends the process when a batch or the event loop makes no progress for too long."""

    def __init__(self, stall_seconds: float) -> None:
        self._stall = stall_seconds
        self._alive_at = time.monotonic()
        self._busy_since: dict[int, float] = {}
        self._suspended_until = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        self._alive_at = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def note_alive(self) -> None:
        """Note that the event loop runs."""
        self._alive_at = time.monotonic()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """For work that has to end within the limit."""
        token = object()
        self._busy_since[id(token)] = time.monotonic()
        try:
            yield
        finally:
            del self._busy_since[id(token)]

    @property
    def is_busy(self) -> bool:
        """Whether such work is under way."""
        return bool(self._busy_since)

    @property
    def is_suspended(self) -> bool:
        return self._suspended_until == math.inf

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """For work without a limit, such as folding a log; what waits for it has none either."""
        self._suspended_until = math.inf
        try:
            yield
        finally:
            self._suspended_until = time.monotonic()

    def _watch(self) -> None:
        pause = min(1.0, self._stall / 4)
        last = woken = time.monotonic()
        while not self._stopping.wait(pause):
            now = time.monotonic()
            if now - last > pause * 2 + 1:
                woken = now  # the process itself was stopped, so its limit begins anew
            last = now
            busy = [max(since, self._suspended_until) for since in list(self._busy_since.values())]
            oldest = max(woken, min([self._alive_at, *busy]))
            if now - oldest > self._stall:
                print(
                    f"worker_stalled: no progress for {now - oldest:.0f} s "
                    f"(worker.stall_seconds: {self._stall}); ending, so that another takes over",
                    file=sys.stderr,
                    flush=True,
                )
                os._exit(EXIT_STALLED)
