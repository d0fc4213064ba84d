"""The wire records: CloudEvents 1.0 with data in JSON, decoded into typed changes.

An event that does not decode becomes an `Undecodable` with its cause; every field is bounded. What
is not named here is ignored, so that a newer minor version decodes.
"""

from collections.abc import Callable
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from kae.encoders.attributes import Item
from kae.encoders.categories import CATEGORIES, CATEGORY_INDEX
from kae.encoders.selector import Rejected, Selector, compile_selector
from kae.encoders.text import normalise
from kae.sinks.bindings import Bind, Release, TermChange
from kae.sinks.plan import Change, Delete, Upsert, content_hash
from kae.streams.cloudevents import Envelope, Headers, Id, Short, read_event
from kae.streams.letters import kinds

# The suffix is the major version; a higher minor version has the same type.
ITEM_UPSERT = "kae.item.upsert.v1"
ITEM_DELETE = "kae.item.delete.v1"
TERM_BIND = "kae.term.bind.v1"
TERM_RELEASE = "kae.term.release.v1"

MAX_REVISION = (1 << 63) - 1

T = TypeVar("T")

Text = Annotated[str, Meta(max_length=100_000)]
Title = Annotated[str, Meta(max_length=100_000)]
Value = Annotated[str, Meta(max_length=20_000)]
Field = Annotated[str, Meta(min_length=1, max_length=256)]
Revision = Annotated[
    int,
    Meta(ge=0, le=MAX_REVISION, description="Orders the events of one subject; the highest holds."),
]
Word = Annotated[str, Meta(min_length=1, max_length=128)]
# Checked where the event is decoded, since "" asks for the topology's default.
Category = Annotated[str, Meta(max_length=512, extra_json_schema={"enum": ["", *CATEGORIES]})]


class Undecodable(ValueError):
    """An event that goes to the dead letters; the message is the cause, `kind` its stable code."""

    def __init__(self, cause: str, kind: str) -> None:
        super().__init__(cause)
        self.kind = kind


class ItemData(msgspec.Struct, frozen=True):
    """`data` of kae.item.upsert.v1; the item's id is the event's subject and the record's key."""

    revision: Revision
    title: Title
    description: Text = ""
    fields: Annotated[
        dict[Field, Value | Annotated[list[Value], Meta(max_length=64)]], Meta(max_length=512)
    ] = {}
    popularity: Annotated[float, Meta(ge=0.0, le=1e18, description="Higher comes first.")] = 0.0


class DeleteData(msgspec.Struct, frozen=True):
    """`data` of kae.item.delete.v1."""

    revision: Revision


class SelectorData(msgspec.Struct, frozen=True):
    """Which items a term is bound to; every part that is given must hold."""

    match: Annotated[str, Meta(max_length=1024)] = ""
    items: Annotated[list[Id], Meta(max_length=10_000)] = []
    where: Annotated[str, Meta(max_length=4096)] = ""


class BindData(msgspec.Struct, frozen=True):
    """`data` of kae.term.bind.v1; the term is the event's subject."""

    revision: Revision
    selector: SelectorData
    aliases: Annotated[list[Word], Meta(max_length=64)] = []
    category: Category = ""
    owner: Short = ""
    reason: Short = ""


class ReleaseData(msgspec.Struct, frozen=True):
    """`data` of kae.term.release.v1."""

    revision: Revision


_item = msgspec.json.Decoder(ItemData)
_delete = msgspec.json.Decoder(DeleteData)
_bind = msgspec.json.Decoder(BindData)
_release = msgspec.json.Decoder(ReleaseData)
_encode = msgspec.json.Encoder().encode


def decode_item(
    key: bytes | None, value: bytes | None, max_bytes: int, headers: Headers = ()
) -> Change:
    """Decode one record of the items topic.

    Raises: Undecodable.
    """
    event = _open(key, value, max_bytes, headers)
    content = content_hash(bytes(event.data))
    if event.type == ITEM_UPSERT:
        data = _data(_item.decode, event)
        item = Item(event.subject, data.title, data.description, data.fields, data.popularity)
        return Upsert(event.subject, data.revision, content, item)
    if event.type == ITEM_DELETE:
        return Delete(event.subject, _data(_delete.decode, event).revision, content)
    raise _unknown(event.type, "item", (ITEM_UPSERT, ITEM_DELETE))


class TermRules(msgspec.Struct, frozen=True):
    """What the topology says about terms."""

    default_category: str
    position_of: Callable[[int], int]
    items_per_selector: int


def decode_term(
    key: bytes | None,
    value: bytes | None,
    max_bytes: int,
    accepted_ms: int,
    rules: TermRules,
    headers: Headers = (),
) -> TermChange:
    """Decode one record of the terms topic; `accepted_ms` is when the broker took it.

    Raises: Undecodable.
    """
    event = _open(key, value, max_bytes, headers)
    term = normalise(event.subject)
    if not term:
        raise Undecodable(f"subject: {event.subject!r} has no letter or digit", "subject.empty")
    if event.type == TERM_RELEASE:
        return Release(term, _data(_release.decode, event).revision)
    if event.type != TERM_BIND:
        raise _unknown(event.type, "term", (TERM_BIND, TERM_RELEASE))
    data = _data(_bind.decode, event)
    name = data.category or rules.default_category
    if name not in CATEGORY_INDEX:
        raise Undecodable(
            f"data.category: {name!r} is none of {', '.join(CATEGORIES)}", "data.category.unknown"
        )
    category = CATEGORY_INDEX[name]
    return Bind(
        term=term,
        revision=data.revision,
        aliases=tuple(sorted({alias for a in data.aliases if (alias := normalise(a))} - {term})),
        category=category,
        position=rules.position_of(category),
        selector=_selector(data.selector, rules),
        owner=data.owner,
        reason=data.reason,
        accepted_ms=accepted_ms,
    )


def _selector(data: SelectorData, rules: TermRules) -> Selector:
    if len(data.items) > rules.items_per_selector:
        raise Undecodable(
            f"data.selector.items: {len(data.items)} items, terms.items_per_selector allows "
            f"{rules.items_per_selector}",
            "data.selector.items.length",
        )
    selector = Selector(data.match, tuple(data.items), data.where)
    try:
        compile_selector(selector)
    except Rejected as error:
        raise Undecodable(f"data.selector: {error}", "data.selector.invalid") from error
    return selector


def _open(key: bytes | None, value: bytes | None, max_bytes: int, headers: Headers) -> Envelope:
    if value is None:
        raise Undecodable(
            f"value: a Kafka tombstone carries no revision; send {ITEM_DELETE}", "value.missing"
        )
    if len(value) > max_bytes:
        raise Undecodable(
            f"value: {len(value)} bytes, limits.event_bytes allows {max_bytes}", "value.size"
        )
    try:
        event = read_event(value, headers)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"event: {error}", kinds.of_malformed(error, "event")) from error
    if key is not None and key != event.subject.encode():
        raise Undecodable(f"key: {key!r} differs from the subject {event.subject!r}", "key.differs")
    if key is None and event.type in (ITEM_UPSERT, ITEM_DELETE):
        raise Undecodable(
            "key: missing; an item event's key is its subject, the item id", "key.missing"
        )
    return event


def _unknown(type_: str, noun: str, known: tuple[str, ...]) -> Undecodable:
    """Why a type is refused: another major version of a known event, or no event at all."""
    name, _, major = type_.rpartition(".v")
    for one in known:
        if major.isdecimal() and name == one.rpartition(".v")[0]:
            return Undecodable(
                f"type: {type_!r} has major version {major}, this kae knows {one}; "
                "send that, or run workers that know the newer one",
                kinds.TYPE_VERSION,
            )
    return Undecodable(
        f"type: {type_!r} is no {noun} event; known are {' and '.join(known)}", kinds.TYPE_UNKNOWN
    )


def _data(decode: Callable[[msgspec.Raw], T], event: Envelope) -> T:
    try:
        return decode(event.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"data: {error}", kinds.of_malformed(error, "data")) from error


def _event(
    type_: str, subject: str, data: msgspec.Struct, source: str, id_: str, time: str
) -> bytes:
    envelope = Envelope(
        specversion="1.0",
        type=type_,
        source=source,
        id=id_,
        subject=subject,
        data=msgspec.Raw(_encode(data)),
        time=time or msgspec.UNSET,
    )
    return _encode(envelope)


def encode_item_upsert(item: Item, revision: int, source: str, time: str = "") -> bytes:
    """An upsert; `time` is RFC 3339, empty to leave it out."""
    data = ItemData(revision, item.title, item.description, item.fields, item.popularity)
    return _event(ITEM_UPSERT, item.id, data, source, f"{item.id}:{revision}", time)


def as_decoded(item: Item, revision: int, source: str, max_bytes: int) -> Change:
    """The change that a worker decodes from an upsert of this item.

    Raises: Undecodable.
    """
    value = encode_item_upsert(item, revision, source)
    return decode_item(item.id.encode(), value, max_bytes)


def encode_item_delete(item_id: str, revision: int, source: str, time: str = "") -> bytes:
    return _event(ITEM_DELETE, item_id, DeleteData(revision), source, f"{item_id}:{revision}", time)


def encode_term_bind(term: str, data: BindData, source: str, time: str = "") -> bytes:
    return _event(TERM_BIND, term, data, source, f"{term}:{data.revision}", time)


def encode_term_release(term: str, revision: int, source: str, time: str = "") -> bytes:
    return _event(TERM_RELEASE, term, ReleaseData(revision), source, f"{term}:{revision}", time)
