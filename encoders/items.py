"""An item, the attributes found in it, and the item once encoded."""

from enum import IntEnum

import msgspec

from kae.encoders.categories import Identifier


class AttributeSource(IntEnum):
    """Where an attribute was found; a smaller number is trusted more."""

    FIELD = 0
    DICTIONARY = 1
    TAGGER = 2


class Attribute(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One word of one category, with its provenance.

    `word` is the canonical form, which is compared and has a slot (see measures.canonical); `text`
    is the surface form: a part of a field's value, or words of the normalised title.
    """

    category: int
    word: str
    text: str
    source: AttributeSource
    score: float


class Item(msgspec.Struct, frozen=True, gc=False):
    """A product to index; `fields` are the feed's own names and values."""

    id: str
    title: str
    description: str = ""
    fields: dict[str, str | list[str]] = msgspec.field(default_factory=dict)
    popularity: float = 0.0


class Encoded(msgspec.Struct, frozen=True, gc=False):
    """An item's searchable text, attributes and identifier.

    `text` is title + " " + description in the search form of the codebook.
    """

    title: str
    text: str
    attributes: tuple[Attribute, ...]
    identifier: Identifier
