"""The state of a store: which version of its log it is, and hash and sums of its content.

RocksDB opens a store whose MANIFEST has lost its end as it was some writes before, and may do so
for one column family alone. Sums of row digests detect that. A sum does not depend on order, so a
delta moves it by the rows that it changes.
"""

from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from kae.sinks.log.edits import Counts, Head, ItemHead, SourceRange
from kae.sinks.log.fold import LogState
from kae.sinks.store import keys

SUM_BITS = 64
_DIGEST_BYTES = SUM_BITS // 8
_encode = msgspec.msgpack.Encoder().encode


class StoreState(msgspec.Struct, frozen=True, array_like=True):
    """The one row of `meta`: which version of its log the store is."""

    format: int = keys.FORMAT
    epoch: int = 0
    nonce: bytes = b""
    fingerprint: str = ""
    version: int = 0
    hash: bytes = bytes(16)
    offset: int = -1
    tail: bytes = b""
    source: SourceRange = SourceRange()
    counts: Counts = Counts()
    next_ordinal: int = 0
    live: int = 0
    # Sums of rows; None in stores of releases without them.
    items_sum: int | None = None
    bindings_sum: int | None = None
    # The name of the log; empty in stores of releases without it, and of replicas.
    log: str = ""

    def log_state(self) -> LogState:
        """The state of the log at this version, from which reading goes on."""
        return LogState(
            epoch=self.epoch,
            nonce=self.nonce,
            fingerprint=self.fingerprint,
            version=self.version,
            hash=self.hash,
            offset=self.offset,
            tail=self.tail,
            next_offset=self.offset + 1,
        )


def content_hash(rows: Iterable[tuple[str, int, tuple[int, ...], list[str]]]) -> str:
    """The digest of (item id, revision, identifier, sorted terms) rows, in the given order."""
    encoder = msgspec.msgpack.Encoder()
    total = blake2b(digest_size=16)
    for row in rows:
        total.update(encoder.encode(row))
    return total.hexdigest()


def add_to_sum(total: int, change: int) -> int:
    """A sum after a change, which may be negative."""
    return (total + change) % (1 << SUM_BITS)


def row_digest(key: bytes, value: bytes) -> int:
    """The digest of a row of `bindings` or `attached`, whose keys differ in length."""
    return _digest(key + value)


def head_digest(head: Head) -> int:
    """The digest of a row of `items` without its texts, for which its content hash stands."""
    fields = (head.id, head.ordinal, head.revision, head.content)
    if isinstance(head, ItemHead):
        return _digest(_encode((*fields, head.identifier, head.popularity, head.bindings)))
    return _digest(_encode(fields))


def _digest(row: bytes) -> int:
    return int.from_bytes(blake2b(row, digest_size=_DIGEST_BYTES).digest(), "big")
