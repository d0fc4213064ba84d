"""The records of a log and the edits in them: everything that can change in an index.

A record is one `Owned` or one part of a `Delta`; docs/formats.md specifies the bytes. Edits are
absolute: applying one twice equals applying it once, and the edits of a log are enough to rebuild a
store. An edit is encoded once: the log and the store hold the same bytes.
"""

from hashlib import blake2b

import msgspec

from kae.encoders.categories import Identifier
from kae.encoders.items import Attribute
from kae.encoders.selector import Selector
from kae.sinks.log.term_changes import ExpectedItems, Proposable

# Raise it for a new kind of record or edit, or for a field that readers must not ignore: older
# readers then refuse the log when they read its owner's claim.
LOG_FORMAT = 1
HASH_BYTES = 16
GENESIS = bytes(HASH_BYTES)


class ItemHead(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The leading fields of a PutItem: all that most readers need, without the texts."""

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
    """A tombstone; `ordinal` is -1 if the item was never live in this shard."""

    id: str
    ordinal: int
    revision: int
    content: bytes


class Attach(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The items of a binding in one shard, as a serialised roaring bitmap of ordinals.

    A bitmap that exceeds a message takes several edits; `continued` adds to the one before it.
    """

    binding: int
    term: str
    position: int
    index: int
    ordinals: bytes
    continued: bool = False


class Detach(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """A shard has no items of a binding any more."""

    binding: int


class BindSlot(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """A term takes a reserved slot; for a known binding, its fields as they are now.

    The binding is active from here on or, if `pending`, from the Activate that follows once every
    shard has attached it. It is visible while it is active, from `from_ms` (0: at once) until
    `until_ms` (0: for ever). One that `replaces` another takes its place with the Activate. One
    with a `plan` gets the Activate only if its number of items is close enough to the plan's.
    `written` is the term as it was typed; empty if an earlier release bound it.
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
    written: str = ""

    def is_valid_at(self, at_ms: int) -> bool:
        """Whether the binding is valid at a time."""
        return self.from_ms <= at_ms and (not self.until_ms or at_ms < self.until_ms)


class Activate(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """A pending binding becomes active, once every shard has attached it."""

    binding: int


RELEASED, EXPIRED, REPLACED, GIVEN_UP = "", "expired", "replaced", "given up"


class Deactivate(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """A term is released; its slot is quarantined until every shard has detached.

    `binding` is 0 if the term was not bound; then only the tombstone is kept. `cause` is one of
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
    """A term event that was refused, and why; for a campaign, `term` is the campaign's key."""

    term: str
    revision: int
    cause: str


class Propose(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """A change waits for approval by someone other than its author."""

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
    """How many source records were read, by outcome: read = put + dropped + stale + dead + lost.

    `lost` were deleted from their topic before they were read; somebody accepted that.
    """

    read: int = 0
    put: int = 0
    dropped: int = 0
    stale: int = 0
    dead: int = 0
    lost: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.read + other.read,
            self.put + other.put,
            self.dropped + other.dropped,
            self.stale + other.stale,
            self.dead + other.dead,
            self.lost + other.lost,
        )

    @property
    def balanced(self) -> bool:
        return self.read == self.put + self.dropped + self.stale + self.dead + self.lost


class SourceRange(msgspec.Struct, frozen=True, array_like=True):
    """How far a log has come in its sources, after a delta.

    `next_offset` is an offset of the items or the terms topic. `next_control` is the first offset
    of the control topic whose request is not carried out yet. A `paused` shard reads no items, and
    neither does one that has `stopped`, which says why: its topic does not continue where the shard
    stands. `topic` is the id of the topic that `next_offset` belongs to; empty if no broker said.
    """

    next_offset: int = 0
    bindings_version: int = 0
    next_control: int = 0
    paused: bool = False
    topic: str = ""
    stopped: str = ""

    @property
    def reads(self) -> bool:
        """Whether the shard reads items."""
        return not self.paused and not self.stopped


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
    """A claim of the log, valid only if its epoch is higher than the last.

    `format` is that of the records that the owner will append.
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
    """Decode an edit as folding needs it: only the head of an item.

    Raises: msgspec.ValidationError when it is not an edit of a shard.
    """
    return _shard_edits.decode(raw)


def placed(raw: bytes, ordinal: int) -> bytes:
    """An encoded PutItem or DropItem with another ordinal; its texts are not decoded."""
    fields = _fields.decode(raw)
    fields[_ORDINAL_FIELD] = ordinal
    return _encoder.encode(fields)


def encode_record(record: LogRecord) -> bytes:
    return _encoder.encode(record)


def decode_record(payload: bytes) -> LogRecord:
    """Raises: msgspec.DecodeError when the payload is not a record."""
    return _records.decode(payload)


def digest(payload: bytes) -> bytes:
    return blake2b(payload, digest_size=HASH_BYTES).digest()


def chain(previous: bytes, record: bytes) -> bytes:
    """The hash of a log after a record of an accepted delta; `record` is the record's digest."""
    return digest(previous + record)
