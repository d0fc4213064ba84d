"""A watchdog that ends the process when work has begun and does not end."""

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
    """There is something to read, and for too long nothing was read."""


class WorkProgress:
    """Suspects partitions that stand still before their end."""

    def __init__(self, stall_seconds: float) -> None:
        self._stall = stall_seconds
        self._seen: Mapping[Any, int] = {}
        self._moved_at = time.monotonic()

    def suspect(self, positions: Mapping[Any, int], ends: Mapping[Any, int | None]) -> Any | None:
        """A partition that should have gone on by now; where it stands, and ends if that is known.

        Only a suspicion: the rest of a partition may be transaction markers, which are no records.
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
    """Ends the process when a batch, or the event loop itself, stands still for too long."""

    def __init__(self, stall_seconds: float) -> None:
        self._stall = stall_seconds
        self._alive_at = time.monotonic()
        self._busy_since: dict[int, float] = {}
        self._excused_until = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        self._alive_at = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def alive(self) -> None:
        """The event loop turns."""
        self._alive_at = time.monotonic()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Work that has to end."""
        token = object()
        self._busy_since[id(token)] = time.monotonic()
        try:
            yield
        finally:
            del self._busy_since[id(token)]

    @property
    def is_busy(self) -> bool:
        """Whether work is under way that has to end."""
        return bool(self._busy_since)

    @property
    def is_excused(self) -> bool:
        return self._excused_until == math.inf

    @contextmanager
    def excused(self) -> Iterator[None]:
        """Work that takes as long as it takes, such as folding a log, and all that waits for it."""
        self._excused_until = math.inf
        try:
            yield
        finally:
            self._excused_until = time.monotonic()

    def _watch(self) -> None:
        pause = min(1.0, self._stall / 4)
        last = woken = time.monotonic()
        while not self._stopping.wait(pause):
            now = time.monotonic()
            if now - last > pause * 2 + 1:
                woken = now  # this process itself was stopped; give it its time again
            last = now
            busy = [max(since, self._excused_until) for since in list(self._busy_since.values())]
            oldest = max(woken, min([self._alive_at, *busy]))
            if now - oldest > self._stall:
                print(
                    f"worker_stalled: nothing moved for {now - oldest:.0f} s "
                    f"(worker.stall_seconds: {self._stall}); ending, so that another takes over",
                    file=sys.stderr,
                    flush=True,
                )
                os._exit(EXIT_STALLED)
