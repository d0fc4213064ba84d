"""Waiting until an answer may have changed: requests that wait for a term or an item."""

import asyncio
import threading
import time
from collections.abc import Callable


class ViewNotifier:
    """The follower notifies it whenever an answer may have changed; requests wait for that."""

    def __init__(self) -> None:
        self.count = 0  # of notifications
        self._lock = threading.Condition()
        self._waiting: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Wake all that wait; may be called from any thread."""
        with self._lock:
            self.count += 1
            for woken in self._waiting:
                woken.get_loop().call_soon_threadsafe(_wake, woken)
            self._waiting.clear()
            self._lock.notify_all()

    def block_beyond(self, count: int, seconds: float) -> None:
        """Like `wait_beyond`, for a thread without an event loop."""
        with self._lock:
            self._lock.wait_for(lambda: self.count > count, seconds)

    async def wait_beyond(self, count: int, seconds: float) -> None:
        """Return once there were more notifications than `count`, or when the time is over."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self.count > count:
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


async def wait_until(notifier: ViewNotifier, seconds: float, holds: Callable[[], bool]) -> None:
    """Return once `holds` does, or when the time is over; it is checked at each notification."""
    deadline = time.monotonic() + seconds
    while True:
        count = notifier.count
        left = deadline - time.monotonic()
        if holds() or left <= 0:
            return
        await notifier.wait_beyond(count, left)
