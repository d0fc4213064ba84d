"""What a log is to its readers and its owner, and a log in memory."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol


class AppendUnknown(Exception):
    """The broker did not say whether it stored the records, so this epoch ends here."""


class LogTruncated(Exception):
    """The log no longer holds records that this reader needs."""


LOG_ENDED_REMEDY = "Bring the topic back from a copy, or index items and terms in a new generation"


class LogEnded(LogTruncated):
    """The log ends before what was folded of it: it lost its end, or is another one."""


def refuse_gap(name: str, expected: int, found: int) -> None:
    """Raises: LogTruncated when the next record of a log is not the expected one."""
    if found != expected:
        raise LogTruncated(
            f"{name}: offset {expected} is gone, the next record is {found}. Start from a newer "
            "snapshot (`kae snapshot list`), or backfill a new generation"
        )


class Appending(Protocol):
    """An append that the broker may not have acknowledged yet."""

    def offsets(self) -> Sequence[int]:
        """Wait for the acknowledgement; the offsets of the records.

        Raises: AppendUnknown when it does not come, or the append failed.
        """
        ...

    def on_acknowledged(self, call: Callable[[], None]) -> None:
        """Have `call` called, by any thread, when the records are stored."""
        ...

    def on_done(self, call: Callable[[], None]) -> None:
        """Have `call` called, by any thread, when the append has succeeded or failed."""
        ...


class Log(Protocol):
    """A totally ordered sequence of records with rising offsets."""

    name: str

    def append(self, payloads: Sequence[bytes]) -> Appending:
        """Send records in order, without waiting for the acknowledgement."""
        ...

    def read(self, offset: int) -> Iterator[tuple[int, bytes]]:
        """Yield (offset, payload) from `offset` on, and wait for more at the end of the log.

        (-1, b"") says that no record came for a while.
        Raises: LogTruncated when the log no longer holds `offset`.
        """
        ...


class Appended:
    """An append that is acknowledged already."""

    def __init__(self, offsets: Sequence[int]) -> None:
        self._offsets = offsets

    def offsets(self) -> Sequence[int]:
        return self._offsets

    def on_acknowledged(self, call: Callable[[], None]) -> None:
        call()

    def on_done(self, call: Callable[[], None]) -> None:
        call()


class MemoryLog:
    """A log in a list, for property tests and dry runs."""

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.records: list[bytes] = []
        self.begins_at = 0

    def append(self, payloads: Sequence[bytes]) -> Appended:
        first = len(self.records)
        self.records.extend(payloads)
        return Appended(range(first, len(self.records)))

    def read(self, offset: int) -> Iterator[tuple[int, bytes]]:
        while True:
            refuse_gap(self.name, offset, max(offset, self.begins_at))
            while offset < len(self.records):
                yield offset, self.records[offset]
                offset += 1
            yield -1, b""
