"""Item events: CloudEvents 1.0 with data in JSON, decoded into typed changes.

Every field has bounds (docs/formats.md); an event beyond them raises `Undecodable` with its cause.
Unknown fields are ignored, so an event of a newer minor version decodes. terms.py has term events.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from kae.encoders.items import Item
from kae.sinks.store.plan import Change, Delete, Upsert, payload_hash
from kae.streams.events.cloudevents import EventOrigin, Headers, Id
from kae.streams.events.envelope import (
    Revision,
    Undecodable,
    decode_data,
    encode_event,
    event_id,
    open_event,
    unknown_type,
)
from kae.streams.kafka.partitioner import partition_of

# The suffix is the major version; a higher minor version has the same type.
ITEM_UPSERT = "kae.item.upsert.v1"
ITEM_DELETE = "kae.item.delete.v1"
Text = Annotated[str, Meta(max_length=100_000)]
TitleText = Annotated[str, Meta(max_length=100_000)]
FieldValue = Annotated[str, Meta(max_length=20_000)]
Field = Annotated[str, Meta(min_length=1, max_length=256)]


class ItemData(msgspec.Struct, frozen=True):
    """`data` of kae.item.upsert.v1; the item's id is the event's subject and the record's key."""

    revision: Revision
    title: TitleText
    description: Text = ""
    fields: Annotated[
        dict[Field, FieldValue | Annotated[list[FieldValue], Meta(max_length=64)]],
        Meta(max_length=512),
    ] = {}
    popularity: Annotated[float, Meta(ge=0.0, le=1e18, description="Higher comes first.")] = 0.0


class _Bounded(ItemData, frozen=True, kw_only=True):
    """Every bounded value of an upsert."""

    event: Id
    subject: Id
    source: EventOrigin


class DeleteData(msgspec.Struct, frozen=True):
    """`data` of kae.item.delete.v1."""

    revision: Revision


# Of the JSON of an upsert without its data, source and ids.
_ENVELOPE_BYTES = 300
_encode = msgspec.json.Encoder().encode
_item = msgspec.json.Decoder(ItemData)
_delete = msgspec.json.Decoder(DeleteData)


def decode_item(
    key: bytes | None, value: bytes | None, max_bytes: int, headers: Headers = ()
) -> Change:
    """Decode one record of the items topic.

    Raises: Undecodable.
    """
    event = open_event(key, value, max_bytes, headers, keyed=(ITEM_UPSERT, ITEM_DELETE))
    content = payload_hash(bytes(event.data))
    if event.type == ITEM_UPSERT:
        data = decode_data(_item.decode, event)
        item = Item(event.subject, data.title, data.description, data.fields, data.popularity)
        return Upsert(event.subject, data.revision, content, item)
    if event.type == ITEM_DELETE:
        return Delete(event.subject, decode_data(_delete.decode, event).revision, content)
    raise unknown_type(event.type, "item", (ITEM_UPSERT, ITEM_DELETE))


def encode_item_upsert(item: Item, revision: int, source: str, time: str = "") -> bytes:
    """An upsert; `time` is RFC 3339, empty to leave it out."""
    data = ItemData(revision, item.title, item.description, item.fields, item.popularity)
    return encode_event(ITEM_UPSERT, item.id, data, source, event_id(item.id, revision), time)


def as_decoded(item: Item, revision: int, source: str, max_bytes: int) -> Change:
    """The change that a worker decodes from an upsert of this item.

    An item within all bounds skips decoding, which would give the same change.
    Raises: Undecodable.
    """
    data = _encode(ItemData(revision, item.title, item.description, item.fields, item.popularity))
    # JSON escapes a character with at most six bytes.
    within = len(data) + _ENVELOPE_BYTES + 6 * (len(source) + 2 * len(item.id)) <= max_bytes
    if within and _is_within_bounds(item, revision, source):
        return Upsert(item.id, revision, payload_hash(data), item)
    value = encode_item_upsert(item, revision, source)
    return decode_item(item.id.encode(), value, max_bytes)


def _is_within_bounds(item: Item, revision: int, source: str) -> bool:
    values = {
        "event": event_id(item.id, revision),
        "subject": item.id,
        "source": source,
        "revision": revision,
        "title": item.title,
        "description": item.description,
        "fields": item.fields,
        "popularity": item.popularity,
    }
    try:
        msgspec.convert(values, _Bounded)
    except msgspec.ValidationError:
        return False
    return True


def encode_item_delete(item_id: str, revision: int, source: str, time: str = "") -> bytes:
    return encode_event(
        ITEM_DELETE, item_id, DeleteData(revision), source, event_id(item_id, revision), time
    )


_TYPES = {field.name: field.type for field in msgspec.structs.fields(ItemData)}


def beyond_bounds(item: Item) -> tuple[str, object, str] | None:
    """The first value of an item beyond its bounds, as (field, value, reason); None without one."""
    for field, value, kind in _values(item):
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            found = next(iter(value.values())) if isinstance(value, dict) else value
            return field, found, str(error).partition(" - at ")[0].lower()
    return None


def _values(item: Item) -> Iterator[tuple[str, object, object]]:
    yield "id", item.id, Id
    for name in ("title", "description", "popularity"):
        yield name, getattr(item, name), _TYPES[name]
    for name, value in item.fields.items():
        yield name, {name: value}, _TYPES["fields"]


def check_home(item_id: str, partition: int, partitions: int, earlier: Iterable[int] = ()) -> None:
    """Refuse an event in another partition than its key belongs to.

    `earlier` are numbers of partitions that the topic has had: an event may have come then.
    Raises: Undecodable.
    """
    home = partition_of(item_id, partitions)
    if home != partition and all(partition_of(item_id, n) != partition for n in earlier):
        raise Undecodable(
            f"key: {item_id!r} belongs to partition {home}, not {partition}; produce with "
            "Kafka's default partitioner (murmur2 of the key)",
            "partition.wrong",
        )
