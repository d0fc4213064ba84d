"""What a store says of itself: which version of its log it is, and its content as one number."""

from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from kae.sinks.log.edits import Counts, SourceRange
from kae.sinks.log.fold import LogState
from kae.sinks.store import keys


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
    # Of rows (sums.py); None in stores of before: it is not known what they should be.
    items_sum: int | None = None
    bindings_sum: int | None = None

    def log_state(self) -> LogState:
        """Where to go on reading the log."""
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
    """The digest of (item id, revision, identifier, sorted terms) rows in the order given."""
    encoder = msgspec.msgpack.Encoder()
    total = blake2b(digest_size=16)
    for row in rows:
        total.update(encoder.encode(row))
    return total.hexdigest()
