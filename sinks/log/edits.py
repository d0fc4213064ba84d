"""The edits: everything that can change in an index, as types and as bytes.

A record of a log is one `Owned` or one part of one `Delta`; docs/formats.md specifies the bytes.
Edits are absolute, so applying one twice equals applying it once, and each carries all that a
rebuild from the log needs. An edit is encoded once: the log and the store hold the same bytes.
"""

from hashlib import blake2b

import msgspec

from kae.encoders.categories import Identifier
from kae.encoders.items import Attribute
from kae.encoders.selector import Selector
from kae.sinks.log.term_changes import ExpectedItems, Proposable

# Of what stands in a log. A record or edit of a new kind, or a field that must not be passed over,
# raises it; readers of before then refuse the log at its owner's claim.
LOG_FORMAT = 1
HASH_BYTES = 16
GENESIS = bytes(HASH_BYTES)


class ItemHead(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """What all but readers of texts need of a PutItem: its leading fields."""

    id: str
    ordinal: int
    revision: int
    content: bytes
    identifier: Identifier
    popularity: float
    bindings: tuple[int, ...]


class PutItem(ItemHead, frozen=True, array_like=True, tag=1):
    """An item as it is now."""

    title: str
    text: str
    attributes: tuple[Attribute, ...]


class DropItem(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A tombstone; `ordinal` is -1 when the item was never live here."""

    id: str
    ordinal: int
    revision: int
    content: bytes


class Attach(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """A binding's items in one shard: a serialised roaring bitmap of ordinals.

    `continued` adds to the bitmap of the edit before it, for bitmaps that outgrow a message.
    """

    binding: int
    term: str
    position: int
    index: int
    ordinals: bytes
    continued: bool = False


class Detach(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """A binding leaves a shard."""

    binding: int


class BindSlot(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """A term takes a reserved slot; of a binding that is known, its fields as they are now.

    It is active from here on, or, when `pending`, from the Activate that comes once every shard has
    attached it. Visible is what is active from `from_ms` (0: at once) until `until_ms` (0: for
    ever). A binding that `replaces` another takes its place with the Activate. One with a `plan`
    gets its Activate only if it has as many items as were planned, as nearly as is tolerated.
    """

    binding: int
    term: str
    aliases: tuple[str, ...]
    category: int
    position: int
    index: int
    selector: Selector
    revision: int
    owner: str
    reason: str
    accepted_ms: int
    from_ms: int = 0
    until_ms: int = 0
    by: str = ""
    approved_by: str = ""
    campaign: str = ""
    pending: bool = False
    replaces: int = 0
    plan: ExpectedItems = ExpectedItems()

    def is_valid_at(self, at_ms: int) -> bool:
        """Whether a moment lies in its validity."""
        return self.from_ms <= at_ms and (not self.until_ms or at_ms < self.until_ms)


class Activate(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """A pending binding, attached by every shard, becomes active."""

    binding: int


RELEASED, EXPIRED, REPLACED, GIVEN_UP = "", "expired", "replaced", "given up"


class Deactivate(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """A term is released; its slot is quarantined until every shard has detached.

    `binding` is 0 when the term was not bound: the tombstone alone is remembered. `cause` is one of
    RELEASED, EXPIRED, REPLACED, GIVEN_UP.
    """

    binding: int
    term: str
    revision: int
    cause: str = RELEASED
    by: str = ""


class FreeSlot(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """A quarantined slot may be bound again."""

    binding: int
    position: int
    index: int


class Refuse(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """A term event that could not be carried out, and why; a campaign's has its key for a term."""

    term: str
    revision: int
    cause: str


class Propose(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """A change waits for the approval of another than who proposed it."""

    key: str
    revision: int
    change: Proposable


class Withdraw(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """A proposal is rejected."""

    key: str
    revision: int
    by: str
    reason: str


Head = ItemHead | DropItem
ShardEdit = Head | Attach | Detach
BindingEdit = BindSlot | Activate | Deactivate | FreeSlot | Refuse | Propose | Withdraw
Edit = PutItem | DropItem | Attach | Detach | BindingEdit


class Counts(msgspec.Struct, frozen=True, array_like=True):
    """What became of the source records: read = put + dropped + stale + dead."""

    read: int = 0
    put: int = 0
    dropped: int = 0
    stale: int = 0
    dead: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.read + other.read,
            self.put + other.put,
            self.dropped + other.dropped,
            self.stale + other.stale,
            self.dead + other.dead,
        )

    @property
    def balanced(self) -> bool:
        return self.read == self.put + self.dropped + self.stale + self.dead


class SourceRange(msgspec.Struct, frozen=True, array_like=True):
    """Where a log stands in what it was derived from, after a delta.

    `next_control` is the first request on the control topic that is not carried out yet; a shard
    that is `paused` reads no items.
    """

    next_offset: int = 0
    bindings_version: int = 0
    next_control: int = 0
    paused: bool = False


class Delta(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The edits from version n-1 to n of one log, or one of its contiguous parts."""

    epoch: int
    version: int
    previous: bytes
    part: int
    parts: int
    at_ms: int
    source: SourceRange
    counts: Counts
    edits: tuple[msgspec.Raw, ...]


class Owned(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A claim of the log: valid only with a strictly higher epoch than the last.

    `format` is that of the records which the owner goes on to write.
    """

    epoch: int
    nonce: bytes
    owner: str
    fingerprint: str
    format: int = LOG_FORMAT


LogRecord = Delta | Owned
_encoder = msgspec.msgpack.Encoder()
_records: msgspec.msgpack.Decoder[LogRecord] = msgspec.msgpack.Decoder(LogRecord)
_edits: msgspec.msgpack.Decoder[Edit] = msgspec.msgpack.Decoder(Edit)
_heads: msgspec.msgpack.Decoder[Head] = msgspec.msgpack.Decoder(Head)
_shard_edits: msgspec.msgpack.Decoder[ShardEdit] = msgspec.msgpack.Decoder(ShardEdit)
_fields: msgspec.msgpack.Decoder[list[msgspec.Raw | int]] = msgspec.msgpack.Decoder(
    list[msgspec.Raw]
)
_ORDINAL_FIELD = 2  # after the tag and the id


def encode_edit(edit: ShardEdit | BindingEdit) -> bytes:
    return _encoder.encode(edit)


def decode_edit(raw: bytes | msgspec.Raw) -> Edit:
    return _edits.decode(raw)


def decode_head(raw: bytes | msgspec.Raw) -> Head:
    return _heads.decode(raw)


def decode_shard_edit(raw: bytes | msgspec.Raw) -> ShardEdit:
    """An edit as folding needs it: of an item the head.

    Raises msgspec.ValidationError when it is none of a shard's.
    """
    return _shard_edits.decode(raw)


def placed(raw: bytes, ordinal: int) -> bytes:
    """An encoded PutItem or DropItem under another ordinal; its texts are not decoded."""
    fields = _fields.decode(raw)
    fields[_ORDINAL_FIELD] = ordinal
    return _encoder.encode(fields)


def encode_record(record: LogRecord) -> bytes:
    return _encoder.encode(record)


def decode_record(payload: bytes) -> LogRecord:
    """Raises msgspec.DecodeError when the bytes are no record."""
    return _records.decode(payload)


def digest(payload: bytes) -> bytes:
    return blake2b(payload, digest_size=HASH_BYTES).digest()


def chain(previous: bytes, record: bytes) -> bytes:
    """The hash of a log after one more record, given by its digest, of an accepted delta."""
    return digest(previous + record)
