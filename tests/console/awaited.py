"""Waiting for what comes about by itself."""

import time
from collections.abc import Callable


def until(holds: Callable[[], bool], within_seconds: float = 30.0) -> None:
    """Raises: TimeoutError."""
    deadline = time.monotonic() + within_seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come about")
        time.sleep(0.05)
