"""Times: what the clock says, and as people give and read them on the command line."""

import re
import time
from datetime import UTC, datetime

_AGO = re.compile(r"(\d+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def now_ms() -> int:
    """Wall clock, milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def parse_time_ms(text: str, now_ms: int) -> int:
    """The time of `2026-01-31T09:30`, UTC unless it says otherwise, or of `30m`, `2h`, `7d` ago.

    Raises: ValueError.
    """
    if ago := _AGO.fullmatch(text):
        return now_ms - int(ago[1]) * _SECONDS[ago[2]] * 1000
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def rfc3339(at_ms: int) -> str:
    """A time in UTC, as RFC 3339 writes it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
