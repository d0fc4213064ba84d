"""Slots as words: an identifier as people read it."""

from kae.encoders.categories import Slot
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Attribute
from kae.sinks.log.edits import BindSlot, PutItem
from kae.sinks.terms.bindings import Bindings
from kae.streams.replica_api.answers import Words


def own_words(codebook: Codebook, item: PutItem) -> Words:
    """The six words of an item's identifier, as the item spells them; None where empty."""
    alike: dict[Slot, Attribute] = {}
    for attribute in sorted(item.attributes, key=lambda found: (found.source, -found.score)):
        slot = codebook.slot_of(attribute.category, attribute.word)
        if slot is not None:
            # Of several attributes that share a slot, the most trusted one.
            alike.setdefault(slot, attribute)
    return tuple(
        _own_word(codebook, alike.get(Slot(position, index)), position, index) if index else None
        for position, index in enumerate(item.identifier)
    )


def _own_word(
    codebook: Codebook, attribute: Attribute | None, position: int, index: int
) -> str | None:
    return attribute.word if attribute else slot_word(codebook, None, position, index)


def path_words(own: Words, bound: BindSlot | None) -> Words:
    """The words of a path: the item's own, with a term at its position."""
    if bound is None:
        return own
    return (*own[: bound.position], bound.term, *own[bound.position + 1 :])


def slot_word(
    codebook: Codebook, bindings: Bindings | None, position: int, index: int
) -> str | None:
    """The word of a slot: its head word, or the term that is bound to it."""
    head = codebook.word_at(position, index)
    if head is not None:
        return head[1]
    for bound in bindings.bound.values() if bindings else ():
        if (bound.position, bound.index) == (position, index):
            return bound.term
    return None
