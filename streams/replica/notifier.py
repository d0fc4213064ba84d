"""Waiting for an answer to change: requests that are answered once a view has what they ask for."""

import asyncio
import threading
import time
from collections.abc import Callable


class ViewNotifier:
    """Rung by the follower whenever an answer may have changed; requests wait for it."""

    def __init__(self) -> None:
        self.rung = 0
        self._lock = threading.Condition()
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """May be called from any thread."""
        with self._lock:
            self.rung += 1
            for woken in self._waiting:
                woken.get_loop().call_soon_threadsafe(_wake, woken)
            self._waiting.clear()
            self._lock.notify_all()

    def block_beyond(self, rung: int, seconds: float) -> None:
        """The same as `wait_beyond`, for a thread that has no event loop."""
        with self._lock:
            self._lock.wait_for(lambda: self.rung > rung, seconds)

    async def wait_beyond(self, rung: int, seconds: float) -> None:
        """Return once it has been rung more often than that, or when the time is over."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self.rung > rung:
                return
            self._waiting.add(woken)
        try:
            await asyncio.wait((woken,), timeout=seconds)
        finally:
            with self._lock:
                self._waiting.discard(woken)


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


async def wait_until(bell: ViewNotifier, seconds: float, holds: Callable[[], bool]) -> None:
    """Return once `holds` does, which is asked after each ring, or when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        rung = bell.rung
        left = deadline - time.monotonic()
        if holds() or left <= 0:
            return
        await bell.wait_beyond(rung, left)
