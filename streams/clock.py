"""The wall clock, and times as text."""

import re
import time
from datetime import UTC, datetime

DAY_MS = 86_400_000
_AGO = re.compile(r"(\d+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def now_ms() -> int:
    """Wall clock, milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def parse_time_ms(text: str, now_ms: int) -> int:
    """A time like `2026-01-31T09:30`, UTC without an offset, or ago, like `30m`, `2h`, `7d`.

    Raises: ValueError.
    """
    if ago := _AGO.fullmatch(text):
        return now_ms - int(ago[1]) * _SECONDS[ago[2]] * 1000
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def rfc3339(at_ms: int) -> str:
    """A time in UTC, in the notation of RFC 3339."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
