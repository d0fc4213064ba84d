"""Titles with partial labels from a structured catalog (distant supervision).

    brand "Acme", product_colour "Red"; "Acme Tea Pot Red, 1.5 l"  ->  Acme: brand, Red: color

A field's value that the title repeats has the field's category. Other words have no category that
was labelled, since the fields would name them; beyond that nothing is known, or learned, of them.
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
class HintSpan:
    """A value of a category, as text[begin:end]."""

    begin: int
    end: int
    category: str


@dataclass(frozen=True, slots=True)
class HintedTitle:
    """A title with at least one span that a field labels; spans do not overlap and are sorted."""

    text: str
    spans: tuple[HintSpan, ...]


def hinted_titles(
    items: Iterable[Item], fields: Mapping[str, str], categories: frozenset[str], limit: int
) -> list[HintedTitle]:
    """Return the titles that fields label, each text once; of more than `limit`, by lowest hash.

    `fields` maps fields to categories; fields outside `categories` are skipped.
    """
    mapped = {name: category for name, category in fields.items() if category in categories}
    found: dict[str, HintedTitle] = {}
    for item in items:
        spans = tuple(sorted(_without_overlaps(item.title, set(_spans_of(item, mapped)))))
        if spans:
            found.setdefault(item.title, HintedTitle(item.title, spans))
    chosen = nsmallest(limit, found, key=lambda text: blake2b(text.encode()).digest())
    return [found[text] for text in sorted(chosen)]


def _spans_of(item: Item, mapped: Mapping[str, str]) -> Iterator[HintSpan]:
    for name, category in mapped.items():
        values = item.fields.get(name, ())
        for value in [values] if isinstance(values, str) else values:
            for word, _ in words_of(value, CATEGORY_INDEX[category]):
                surface = surface_of(item.title, word)
                if surface is not None:
                    begin = item.title.index(surface)
                    yield HintSpan(begin, begin + len(surface), category)


def _without_overlaps(text: str, spans: set[HintSpan]) -> Iterator[HintSpan]:
    """Drop overlaps, keeping long spans; drop a span that two categories claim."""
    taken: list[HintSpan] = []
    for span in sorted(spans, key=lambda one: (one.begin - one.end, one)):
        if all(span.end <= other.begin or span.begin >= other.end for other in taken):
            taken.append(span)
            if not any(
                (one.begin, one.end) == (span.begin, span.end) and one != span for one in spans
            ):
                yield span
