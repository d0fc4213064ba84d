"""Owning a log: claim an epoch, append, and believe only what the fold accepts."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from kae.sinks.log.edits import Counts, Delta, Owned, SourceRange, digest, encode_record
from kae.sinks.log.fold import ForeignCodebook, LogState, fold
from kae.sinks.log.protocol import Appending, AppendUnknown, Log, refuse_gap

Apply = Callable[[Delta, LogState], object]


class BesideLog(Exception):
    """A store that no prefix of the log leads to; it is to be rebuilt."""


class Fenced(Exception):
    """Another owner has claimed the log; what was planned here does not count."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """A delta that was sent and is not folded yet."""

    parts: tuple[Delta, ...]
    payloads: tuple[bytes, ...]
    appending: Appending


class OwnedLog:
    """One log in its owner's hands.

    Append first, apply second: an acknowledgement proves storage, not validity, so a delta is
    applied only once every record up to it is folded and the epoch is still this owner's.
    """

    def __init__(
        self, log: Log, state: LogState, owner: str, fingerprint: str, apply: Apply
    ) -> None:
        self.log = log
        self.state = state
        self.ignored = 0
        self._owner = owner
        self._fingerprint = fingerprint
        self._apply = apply
        self._nonce = b""

    def claim(self, on_append: Callable[[], None] = lambda: None) -> None:
        """Become the owner: append `Owned` and read until it counts.

        `on_append` runs between the append and the reading.
        Raises: BesideLog when the state this began with is not a prefix of the log;
        ForeignCodebook when the log was begun with another codebook; AppendUnknown.
        """
        self._nonce = os.urandom(16)
        epoch = self.state.epoch + 1
        while True:
            claim = Owned(epoch, self._nonce, self._owner, self._fingerprint)
            (offset,) = self.log.append([encode_record(claim)]).offsets()
            on_append()
            if self.state.offset >= 0:
                check_base(self.log, self.state.offset, self.state.tail, offset)
            self._read_through(offset)
            if self.state.fingerprint != self._fingerprint:
                raise ForeignCodebook(
                    f"{self.log.name}: begun with codebook {self.state.fingerprint}, this worker "
                    f"has {self._fingerprint}. Point codebook.path in topology.yaml at the first, "
                    "or raise generation for the second"
                )
            if self.state.nonce == self._nonce:
                return
            epoch = self.state.epoch + 1

    def send(
        self,
        edits: Sequence[bytes],
        source: SourceRange,
        counts: Counts,
        at_ms: int,
        max_bytes: int,
    ) -> InFlight:
        """Append version n+1, split where it outgrows a message; `settle` tells what became of it.

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
        return InFlight(parts, payloads, self.log.append(payloads))

    def settle(self, sent: InFlight, apply: Apply | None = None) -> None:
        """Wait for the append and apply the delta if it counts.

        Raises: Fenced when another owner came between; AppendUnknown.
        """
        offsets = sent.appending.offsets()
        apply = apply or self._apply
        expected = range(self.state.next_offset, self.state.next_offset + len(sent.payloads))
        if list(offsets) == list(expected):
            for offset, payload, part in zip(offsets, sent.payloads, sent.parts, strict=True):
                self._fold(offset, payload, apply, part)
        else:
            self._read_through(offsets[-1])
        if self.state.nonce != self._nonce:
            raise Fenced(f"{self.log.name}: epoch {self.state.epoch} belongs to another owner")
        if self.state.version != sent.parts[0].version:
            raise AppendUnknown(f"{self.log.name}: version {sent.parts[0].version} did not count")

    def _read_through(self, last: int) -> None:
        for offset, payload in self.log.read(self.state.next_offset):
            if offset >= 0:
                refuse_gap(self.log.name, self.state.next_offset, offset)
                self._fold(offset, payload, self._apply)
            if self.state.next_offset > last:
                return

    def _fold(self, offset: int, payload: bytes, apply: Apply, record: Delta | None = None) -> None:
        folded = fold(self.state, offset, payload, record)
        if folded.delta is not None:
            apply(folded.delta, folded.state)
        self.ignored += bool(folded.ignored)
        self.state = folded.state


def check_base(log: Log, offset: int, tail: bytes, end: int) -> None:
    """Refuse a state whose newest record is not that of the log, which ends at `end` or beyond.

    Raises: BesideLog; LogTruncated when the log begins after the record.
    """
    if offset >= end:
        raise BesideLog(f"{log.name}: the log ends at {end}, the store at {offset}")
    found, payload = next(record for record in log.read(offset) if record[0] >= 0)
    refuse_gap(log.name, offset, found)
    if digest(payload) != tail:
        raise BesideLog(f"{log.name}: offset {offset} holds another record")


def split(delta: Delta, edits: Sequence[bytes], max_bytes: int) -> list[Delta]:
    """A delta of these edits, in contiguous parts whose edits stay below `max_bytes` each.

    Raises: ValueError when one edit alone is larger.
    """
    parts: list[list[msgspec.Raw]] = [[]]
    size = 0
    for edit in edits:
        if len(edit) > max_bytes:
            raise ValueError(
                f"an edit of {len(edit)} bytes outgrows limits.delta_bytes ({max_bytes}); raise it"
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
