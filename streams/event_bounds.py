"""Which value of an item is beyond what an event may hold (docs/formats.md has the bounds)."""

from collections.abc import Iterator

import msgspec

from kae.encoders.attributes import Item
from kae.streams.cloudevents import Id
from kae.streams.events import ItemData

_TYPES = {field.name: field.type for field in msgspec.structs.fields(ItemData)}


def beyond_bounds(item: Item) -> tuple[str, object, str] | None:
    """The first such value as (field, value, reason); None when each is within its bounds."""
    for field, value, kind in _values(item):
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            shown = next(iter(value.values())) if isinstance(value, dict) else value
            return field, shown, str(error).partition(" - at ")[0].lower()
    return None


def _values(item: Item) -> Iterator[tuple[str, object, object]]:
    yield "id", item.id, Id
    for name in ("title", "description", "popularity"):
        yield name, getattr(item, name), _TYPES[name]
    for name, value in item.fields.items():
        yield name, {name: value}, _TYPES["fields"]
