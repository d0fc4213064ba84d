"""Which records of a log count: the one rule that every reader applies.

An `Owned` counts if its epoch is higher than the last. A delta counts if it is of the current
epoch, is version n+1, and names the hash that this reader has. So every reader, the former owner
included, ignores what a former owner still appends.
"""

from dataclasses import dataclass, replace

import msgspec

from kae.sinks.log.edits import (
    GENESIS,
    LOG_FORMAT,
    Delta,
    LogRecord,
    Owned,
    chain,
    decode_record,
    digest,
)


class LogCorrupt(Exception):
    """A log holds bytes that kae did not write."""


class LogNewer(LogCorrupt):
    """The owner of a log writes a newer format than this kae reads."""


class ForeignCodebook(Exception):
    """The log belongs to another codebook."""


@dataclass(frozen=True, slots=True)
class LogState:
    """Where a reader is in one log.

    `offset` and `tail` are the offset (-1: none) and the digest of the last record of the last
    accepted delta. `next_offset` is that of the first record that is not folded yet. `pending` are
    the parts so far of a delta that is not complete.
    """

    epoch: int = 0
    nonce: bytes = b""
    fingerprint: str = ""
    version: int = 0
    hash: bytes = GENESIS
    offset: int = -1
    tail: bytes = b""
    next_offset: int = 0
    pending: tuple[Delta, ...] = ()
    pending_hash: bytes = GENESIS


@dataclass(frozen=True, slots=True)
class Folded:
    """What one record did: the new state, the delta that it completed, or why it was ignored."""

    state: LogState
    delta: Delta | None = None
    ignored: str = ""


def fold(state: LogState, offset: int, payload: bytes, record: LogRecord | None = None) -> Folded:
    """Fold one record; `record` saves decoding the payload for a caller that has just encoded it.

    Raises: LogCorrupt when the payload is not a record of kae; LogNewer when its format is newer.
    """
    try:
        record = record or decode_record(payload)
    except msgspec.DecodeError as error:
        raise LogCorrupt(
            f"offset {offset}: {error}; the topic holds records that kae did not write. "
            "Give the log a topic of its own"
        ) from error
    after = replace(state, next_offset=offset + 1)
    if isinstance(record, Owned):
        return _claim(after, record)
    return _extend(after, offset, payload, record)


def _claim(state: LogState, owned: Owned) -> Folded:
    if owned.epoch <= state.epoch:
        return Folded(state, ignored="claim of an old epoch")
    if state.fingerprint and owned.fingerprint != state.fingerprint:
        return Folded(state, ignored="claim with another codebook")
    if owned.format > LOG_FORMAT:
        raise LogNewer(
            f"offset {state.next_offset - 1}: {owned.owner} writes format {owned.format} from here "
            f"on, and this kae reads up to {LOG_FORMAT}. Upgrade it: replicas first, then workers"
        )
    return Folded(
        replace(
            state,
            epoch=owned.epoch,
            nonce=owned.nonce,
            fingerprint=owned.fingerprint,
            pending=(),
        )
    )


def _extend(state: LogState, offset: int, payload: bytes, delta: Delta) -> Folded:
    if delta.epoch != state.epoch:
        return Folded(state, ignored="delta of another epoch")
    if delta.version != state.version + 1 or delta.previous != state.hash:
        return Folded(state, ignored="delta that does not continue the chain")
    if delta.part == 0:
        state = replace(state, pending=(), pending_hash=state.hash)
    elif delta.part != len(state.pending):
        return Folded(replace(state, pending=()), ignored="part without the part before it")
    parts = (*state.pending, delta)
    tail = digest(payload)
    link = chain(state.pending_hash, tail)
    if delta.part + 1 < delta.parts:
        return Folded(replace(state, pending=parts, pending_hash=link))
    whole = msgspec.structs.replace(
        delta, part=0, parts=1, edits=tuple(edit for part in parts for edit in part.edits)
    )
    accepted = replace(
        state,
        version=delta.version,
        hash=link,
        offset=offset,
        tail=tail,
        pending=(),
        pending_hash=GENESIS,
    )
    return Folded(accepted, delta=whole)
