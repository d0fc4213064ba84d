"""Waiting for an asynchronous effect."""

import time
from collections.abc import Callable


def until(holds: Callable[[], bool], within_seconds: float = 30.0) -> None:
    """Raises: TimeoutError."""
    deadline = time.monotonic() + within_seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("the condition did not become true in time")
        time.sleep(0.05)
