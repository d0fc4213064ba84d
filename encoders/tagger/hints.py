"""Titles that a structured catalog labels in part: what its fields say and the titles repeat.

    brand "Acme", product_colour "Red"; "Acme Tea Pot Red, 1.5 l"  ->  Acme: brand, Red: color

The words of such a value are of its category; another word is of no category that was marked, since
the fields have said it; beyond that nothing is known of it, and nothing is learned of it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from heapq import nsmallest

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.items import Item
from kae.encoders.text.surfaces import surface_of
from kae.encoders.text.values import words_of


@dataclass(frozen=True, slots=True, order=True)
class LabelledSpan:
    """A value of a category, as text[begin:end]."""

    begin: int
    end: int
    category: str


@dataclass(frozen=True, slots=True)
class Hinted:
    """A title with the marks that fields left in it, apart and in its order; at least one."""

    text: str
    marks: tuple[LabelledSpan, ...]


def hinted_titles(
    items: Iterable[Item], fields: Mapping[str, str], categories: frozenset[str], limit: int
) -> list[Hinted]:
    """The titles that fields mark, each text once; of more than `limit` those of lowest hash.

    `fields` says which category a field's values have; those of other `categories` are passed over.
    """
    mapped = {name: category for name, category in fields.items() if category in categories}
    found: dict[str, Hinted] = {}
    for item in items:
        marks = tuple(sorted(_apart(item.title, set(_marks(item, mapped)))))
        if marks:
            found.setdefault(item.title, Hinted(item.title, marks))
    chosen = nsmallest(limit, found, key=lambda text: blake2b(text.encode()).digest())
    return [found[text] for text in sorted(chosen)]


def _marks(item: Item, mapped: Mapping[str, str]) -> Iterator[LabelledSpan]:
    for name, category in mapped.items():
        values = item.fields.get(name, ())
        for value in [values] if isinstance(values, str) else values:
            for word, _ in words_of(value, CATEGORY_INDEX[category]):
                surface = surface_of(item.title, word)
                if surface is not None:
                    begin = item.title.index(surface)
                    yield LabelledSpan(begin, begin + len(surface), category)


def _apart(text: str, marks: set[LabelledSpan]) -> Iterator[LabelledSpan]:
    """Long ones before short ones; a part that two categories claim alike is not known."""
    taken: list[LabelledSpan] = []
    for mark in sorted(marks, key=lambda one: (one.begin - one.end, one)):
        if all(mark.end <= other.begin or mark.begin >= other.end for other in taken):
            taken.append(mark)
            if not any(
                (one.begin, one.end) == (mark.begin, mark.end) and one != mark for one in marks
            ):
                yield mark
