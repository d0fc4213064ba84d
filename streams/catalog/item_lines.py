"""Items in a file of JSON Lines, and their attributes in another: `kae item extract`.

A line has `id` and `title`, and may have `description`. Every other key is a field; a map has one
field for each entry, as in a catalog. Every line gives one line, in order.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import msgspec

from kae.encoders.categories import CATEGORIES
from kae.encoders.extraction.literal import LiteralExtractor
from kae.encoders.items import Attribute, Item
from kae.streams.catalog.json_records import read_object
from kae.streams.catalog.records import UnreadableRecord
from kae.streams.catalog.values import FieldValues, RecordInvalid, add_field, read_id, read_text
from kae.streams.errors import ItemsInvalid

_BATCH_ITEMS = 256
_ITEM_KEYS = ("id", "title", "description")


class FoundText(msgspec.Struct, frozen=True):
    """A value: the normalised word, and the text exactly as in the input."""

    word: str
    text: str
    source: str  # field, dictionary or tagger
    score: float


class ExtractedLine(msgspec.Struct, frozen=True):
    """A line that `kae item extract` writes; categories without values are left out."""

    id: str
    attributes: dict[str, list[FoundText]]


def read_item_lines(path: Path) -> Iterator[Item]:
    """Yield the items of a file in order, skipping empty lines.

    Raises: ItemsInvalid.
    """
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _to_item(line, f"{path} line {number}")
    except OSError as error:
        raise ItemsInvalid(f"{path}: cannot be read ({error}); name a readable file") from error


def extract_lines(items: Iterable[Item], extractor: LiteralExtractor) -> Iterator[ExtractedLine]:
    """Yield a line for each item, in order and in bounded memory."""
    remaining = iter(items)
    while batch := list(islice(remaining, _BATCH_ITEMS)):
        for item, attributes in zip(batch, extractor.extract(batch), strict=True):
            yield ExtractedLine(item.id, _by_category(attributes))


def write_lines(lines: Iterable[ExtractedLine], path: Path) -> int:
    """Write the lines and return their number; an existing file is replaced at the end.

    Raises: ItemsInvalid.
    """
    unfinished = path.with_name(path.name + ".unfinished")
    written = 0
    try:
        with unfinished.open("wb") as out:
            for line in lines:
                out.write(msgspec.json.encode(line) + b"\n")
                written += 1
        unfinished.replace(path)
    except OSError as error:
        raise ItemsInvalid(f"{path}: cannot be written ({error}); name a writable file") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return written


def _to_item(line: bytes, where: str) -> Item:
    remedy = 'write one object a line: {"id": "1", "title": "..."}'
    record = read_object(line, remedy)
    if isinstance(record, UnreadableRecord):
        raise ItemsInvalid(f"{where}: {record.reason}; {record.remedy}")
    try:
        fields: FieldValues = {}
        for name, value in record.items():
            if name not in _ITEM_KEYS:
                add_field(fields, name, value)
        return Item(
            read_id(record, "id"),
            read_text(record, "title"),
            read_text(record, "description"),
            fields,
        )
    except RecordInvalid as error:
        raise ItemsInvalid(f"{where}: {error}; {remedy}") from None


def _by_category(attributes: Iterable[Attribute]) -> dict[str, list[FoundText]]:
    found: dict[str, list[FoundText]] = {}
    for one in attributes:
        found.setdefault(CATEGORIES[one.category], []).append(
            FoundText(one.word, one.text, one.source.name.lower(), one.score)
        )
    return found
