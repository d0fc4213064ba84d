"""The log as a protocol, and its in-memory form."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol


class AppendUnknown(Exception):
    """The broker did not say whether the records are stored; the epoch ends here."""


class LogTruncated(Exception):
    """Records that this reader still needs are gone from the log."""


def refuse_gap(name: str, expected: int, found: int) -> None:
    """Raises: LogTruncated when a log goes on elsewhere than at the record that is needed."""
    if found != expected:
        raise LogTruncated(
            f"{name}: offset {expected} is gone, the next record is {found}. Begin with a snapshot "
            "that is newer (`kae snapshot list`), or backfill a new generation"
        )


class Appending(Protocol):
    """An append on its way."""

    def offsets(self) -> Sequence[int]:
        """Wait for the broker's word.

        Raises: AppendUnknown when it does not come, or says that it failed.
        """
        ...

    def on_stored(self, call: Callable[[], None]) -> None:
        """Call when the records are stored, from whichever thread learns it first."""
        ...

    def on_answered(self, call: Callable[[], None]) -> None:
        """Call when `offsets` need not wait any more, be the broker's word good or bad."""
        ...


class Log(Protocol):
    """One totally ordered sequence of records with rising offsets."""

    name: str

    def append(self, payloads: Sequence[bytes]) -> Appending:
        """Send records in order, without waiting for them to be stored."""
        ...

    def read(self, offset: int) -> Iterator[tuple[int, bytes]]:
        """Yield (offset, payload) from `offset` on, for as long as the log goes on.

        An empty payload with offset -1 says that nothing has come for a while.
        Raises: LogTruncated when `offset` is no longer held.
        """
        ...


class Appended:
    """An append whose offsets are known."""

    def __init__(self, offsets: Sequence[int]) -> None:
        self._offsets = offsets

    def offsets(self) -> Sequence[int]:
        return self._offsets

    def on_stored(self, call: Callable[[], None]) -> None:
        call()

    def on_answered(self, call: Callable[[], None]) -> None:
        call()


class MemoryLog:
    """A log in a list: the reference for the property tests and for dry runs."""

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
