"""The log as a protocol, and its in-memory form."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol


class AppendUnknown(Exception):
    """The broker did not say whether the records are stored; the epoch ends here."""


class LogTruncated(Exception):
    """Records that this reader still needs are gone from the log."""


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


class MemoryLog:
    """A log in a list: the reference for the property tests and for dry runs."""

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.records: list[bytes] = []

    def append(self, payloads: Sequence[bytes]) -> Appended:
        first = len(self.records)
        self.records.extend(payloads)
        return Appended(range(first, len(self.records)))

    def read(self, offset: int) -> Iterator[tuple[int, bytes]]:
        while True:
            while offset < len(self.records):
                yield offset, self.records[offset]
                offset += 1
            yield -1, b""
