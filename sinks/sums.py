"""Sums over a store's rows, kept in its `state`, that tell a store which has lost some of them.

RocksDB opens a store whose MANIFEST has lost its end as it was some writes ago, and may do so for
one column family alone. A sum of digests does not depend on order: a delta moves it by what it
changes.
"""

from hashlib import blake2b

import msgspec

from kae.sinks.edits import Head, ItemHead

SUM_BITS = 64
_DIGEST_BYTES = SUM_BITS // 8
_encode = msgspec.msgpack.Encoder().encode


def added(total: int, change: int) -> int:
    """A sum after a change, which may be negative."""
    return (total + change) % (1 << SUM_BITS)


def row_digest(key: bytes, value: bytes) -> int:
    """Of a row of `bindings` or `attached`, whose keys differ in length."""
    return _number(key + value)


def head_digest(head: Head) -> int:
    """Of a row of `items`, by all of it that is not text; the content hash stands for the text."""
    fields = (head.id, head.ordinal, head.revision, head.content)
    if isinstance(head, ItemHead):
        return _number(_encode((*fields, head.identifier, head.popularity, head.bindings)))
    return _number(_encode(fields))


def _number(row: bytes) -> int:
    return int.from_bytes(blake2b(row, digest_size=_DIGEST_BYTES).digest(), "big")
