"""Own a log: claim an epoch, append, and apply only what the fold accepts."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import msgspec

from kae.sinks.log.edits import Counts, Delta, Owned, SourceRange, digest, encode_record
from kae.sinks.log.fold import ForeignCodebook, LogState, fold
from kae.sinks.log.protocol import (
    LOG_ENDED_REMEDY,
    Appending,
    AppendUnknown,
    Log,
    LogEnded,
    refuse_gap,
)

# How often a log may say that no record came, before it is taken to end there.
SILENCES = 10
# Writes an accepted delta to what the log is folded into; the state is the log's after the delta.
Apply = Callable[[Delta, LogState], object]


class StoreDiverged(Exception):
    """A store whose state is not a prefix of its log; it has to be rebuilt."""


class Fenced(Exception):
    """Another owner has claimed the log; a delta that was appended here does not count."""


class OwnedLog:
    """One log and its single writer.

    Append first, apply second: an acknowledgement proves that a record is stored, not that it
    counts. A delta is applied only once every record up to it is folded and the epoch is still
    this owner's.
    """

    def __init__(
        self, log: Log, state: LogState, owner: str, fingerprint: str, apply: Apply
    ) -> None:
        self.log = log
        self.state = state
        self._owner = owner
        self._fingerprint = fingerprint
        self._apply = apply
        self._nonce = b""

    def claim(self, on_append: Callable[[], None] = lambda: None) -> None:
        """Become the owner: append `Owned`, and apply the log up to it.

        `on_append` is called between the append and the reading.
        Raises: StoreDiverged when the state that this began with is not a prefix of the log;
        LogEnded when the log ends before it, and nothing was appended; ForeignCodebook when the
        log was begun with another codebook; AppendUnknown.
        """
        if self.state.offset >= 0:
            check_prefix(self.log, self.state.offset, self.state.tail)
        self._nonce = os.urandom(16)
        epoch = self.state.epoch + 1
        while True:
            claim = Owned(epoch, self._nonce, self._owner, self._fingerprint)
            (offset,) = self.log.append([encode_record(claim)]).offsets()
            on_append()
            self._read_through(offset, self._apply)
            if self.state.fingerprint != self._fingerprint:
                raise ForeignCodebook(
                    f"{self.log.name}: begun with codebook {self.state.fingerprint}, this worker "
                    f"has {self._fingerprint}. Point codebook.path in topology.yaml at the first, "
                    "or raise generation for the second"
                )
            if self.state.nonce == self._nonce:
                return
            epoch = self.state.epoch + 1

    def append(
        self,
        edits: Sequence[bytes],
        source: SourceRange,
        counts: Counts,
        at_ms: int,
        max_bytes: int,
        apply: Apply | None = None,
    ) -> "UnappliedDelta":
        """Append version n+1, in parts where it exceeds a message, without waiting for the broker.

        It has to be applied before the next is appended. `apply` replaces the log's own for it.
        Raises: ValueError when the counts do not add up.
        """
        if not counts.balanced:
            raise ValueError(f"{self.log.name}: {counts} does not add up")
        whole = Delta(
            epoch=self.state.epoch,
            version=self.state.version + 1,
            previous=self.state.hash,
            part=0,
            parts=1,
            at_ms=at_ms,
            source=source,
            counts=counts,
            edits=(),
        )
        parts = tuple(split(whole, edits, max_bytes))
        payloads = tuple(map(encode_record, parts))
        return UnappliedDelta(
            self, parts, payloads, self.log.append(payloads), apply or self._apply
        )

    def _apply_appended(self, delta: "UnappliedDelta") -> None:
        offsets = delta.appending.offsets()
        next_offset = self.state.next_offset
        if list(offsets) == list(range(next_offset, next_offset + len(offsets))):
            for offset, payload, part in zip(offsets, delta.payloads, delta.parts, strict=True):
                self._fold(offset, payload, delta.to_store, part)
        else:
            self._read_through(offsets[-1], delta.to_store)
        if self.state.nonce != self._nonce:
            raise Fenced(f"{self.log.name}: epoch {self.state.epoch} belongs to another owner")
        if self.state.version != delta.version:
            raise AppendUnknown(f"{self.log.name}: version {delta.version} did not count")

    def _read_through(self, last: int, apply_last: Apply) -> None:
        """Fold the log up to the offset `last`; `apply_last` is for what that record completes."""
        for offset, payload in self.log.read(self.state.next_offset):
            if offset >= 0:
                refuse_gap(self.log.name, self.state.next_offset, offset)
                self._fold(offset, payload, apply_last if offset == last else self._apply)
            if self.state.next_offset > last:
                return

    def _fold(self, offset: int, payload: bytes, apply: Apply, record: Delta | None = None) -> None:
        folded = fold(self.state, offset, payload, record)
        if folded.delta is not None:
            apply(folded.delta, folded.state)
        self.state = folded.state


@dataclass(frozen=True, slots=True)
class UnappliedDelta:
    """A delta that was appended and is not applied yet."""

    log: OwnedLog
    parts: tuple[Delta, ...]
    payloads: tuple[bytes, ...]
    appending: Appending
    to_store: Apply

    @property
    def version(self) -> int:
        """The version of the log once the delta is applied."""
        return self.parts[0].version

    @property
    def source(self) -> SourceRange:
        """Where the log stands in its sources once the delta is applied."""
        return self.parts[0].source

    @property
    def counts(self) -> Counts:
        return self.parts[0].counts

    def wait(self) -> None:
        """Wait until the broker has acknowledged the append.

        Raises: AppendUnknown.
        """
        self.appending.offsets()

    def apply(self) -> None:
        """Wait for the acknowledgement, fold the log up to the delta, and apply it if it counts.

        Raises: Fenced when another owner claimed the log first; AppendUnknown; what the store
        raises.
        """
        self.log._apply_appended(self)


def check_prefix(log: Log, offset: int, tail: bytes, end: int | None = None) -> None:
    """Refuse a state whose newest record is not in the log; the log's `end` may be known.

    Raises: StoreDiverged; LogTruncated when the log begins after the record; LogEnded when it ends
    before it.
    """
    if end is not None and offset >= end:
        raise LogEnded(f"{log.name}: the log ends at {end}, the store at {offset}")
    found, payload = next(
        (record for record in islice(log.read(offset), SILENCES) if record[0] >= 0), (-1, b"")
    )
    if found < 0:
        raise LogEnded(
            f"{log.name}: the log ends at or before {offset}, the store at {offset}: another log, "
            f"or one that lost its end. {LOG_ENDED_REMEDY}"
        )
    refuse_gap(log.name, offset, found)
    if digest(payload) != tail:
        raise StoreDiverged(f"{log.name}: offset {offset} holds another record")


def split(delta: Delta, edits: Sequence[bytes], max_bytes: int) -> list[Delta]:
    """Divide a delta into contiguous parts of at most `max_bytes` of edits each.

    Raises: ValueError when one edit alone is larger.
    """
    parts: list[list[msgspec.Raw]] = [[]]
    size = 0
    for edit in edits:
        if len(edit) > max_bytes:
            raise ValueError(
                f"an edit of {len(edit)} bytes exceeds limits.delta_bytes ({max_bytes}); raise it"
            )
        if parts[-1] and size + len(edit) > max_bytes:
            parts.append([])
            size = 0
        parts[-1].append(msgspec.Raw(edit))
        size += len(edit)
    return [
        msgspec.structs.replace(delta, part=number, parts=len(parts), edits=tuple(part))
        for number, part in enumerate(parts)
    ]
