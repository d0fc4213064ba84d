"""What a stored item says: its text and the words of its attributes, decoded without the rest."""

import msgspec


class AttributeWord(msgspec.Struct, frozen=True, array_like=True):
    """The leading fields of an Attribute."""

    category: int
    word: str


class ItemWords(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A PutItem, of which only the words are decoded."""

    id: msgspec.Raw
    ordinal: int
    revision: msgspec.Raw
    content: msgspec.Raw
    identifier: msgspec.Raw
    popularity: msgspec.Raw
    bindings: msgspec.Raw
    title: msgspec.Raw
    text: str
    attributes: tuple[AttributeWord, ...]


class Dropped(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A DropItem, which says nothing."""


decode_stored = msgspec.msgpack.Decoder(ItemWords | Dropped).decode
decode_words = msgspec.msgpack.Decoder(ItemWords).decode
