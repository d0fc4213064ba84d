"""What a feed file is read as: records, and what is invalid in the format of the file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BATCH_ROWS = 1024
# An unclosed quote or brace would make the rest of a file one record.
RECORD_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """A record that is invalid in its format."""

    text: str
    reason: str
    remedy: str


FeedRecord = Mapping[str, Any] | UnreadableRecord
