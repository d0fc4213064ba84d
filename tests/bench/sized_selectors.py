"""Selectors of a given size: expressions and phrases that match so many of the bench's items."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from kae.bench.feed import bench_items
from kae.encoders.categories import CATEGORIES
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Encoded
from kae.encoders.selector import Selector, compile_selector
from kae.streams.errors import KaeError
from kae.streams.topology.types import Topology

COMMON_WORDS = 150
TOLERANCE = 0.02


class NoSelector(KaeError):
    """No selector of that size is found in the catalog."""


@dataclass(frozen=True, slots=True)
class SizedSelector:
    """A selector, and the numbers of the items that it matches."""

    selector: Selector
    items: list[int]


def sized_selectors(items: int, wanted: int, count: int) -> list[SizedSelector]:
    """The selectors whose sizes are closest to `wanted`: `where` with two words, `match` with one.

    Every fourth is a phrase, if there are such.
    Raises: NoSelector when none is within 2%.
    """
    encoder = Encoder(Codebook.load(Topology.load().codebook_folder))
    # The catalog repeats, so each of its items is encoded once.
    encoded = [encoder.encode(item) for item in bench_items(min(items, _turn(items)))]
    expressions = _closest(_expressions(encoded, items), wanted, count)
    phrases = _closest(_phrases(encoded, items), wanted, max(1, count // 4))
    chosen = (expressions[: count - len(phrases)] + phrases) or []
    if not chosen:
        raise NoSelector(f"no selector matches {wanted:,} of {items:,} items; give other numbers")
    return [SizedSelector(selector, _matching(encoded, selector, items)) for selector in chosen]


def _turn(items: int) -> int:
    """How many items come before the catalog repeats."""
    first_id = None
    for number, item in enumerate(bench_items(items)):
        own, _, turn = item.id.rpartition("-")
        if turn != "0":
            return number
        first_id = first_id or own
    return items


def _expressions(encoded: Sequence[Encoded], items: int) -> list[tuple[Selector, int]]:
    """Pairs of common words, with `or` and with `and not`."""
    weights = _weights(len(encoded), items)
    words = Counter(
        (found.category, found.word)
        for item in encoded
        for found in {(a.category, a.word): a for a in item.attributes}.values()
    )
    common = [word for word, _ in words.most_common(COMMON_WORDS)]
    has = {
        word: np.array([any((a.category, a.word) == word for a in e.attributes) for e in encoded])
        for word in common
    }
    sized = []
    for one, other in combinations(common, 2):
        left, right = (f'{CATEGORIES[category]} = "{word}"' for category, word in (one, other))
        sized.append((f"{left} or {right}", has[one] | has[other]))
        sized.append((f"{left} and not {right}", has[one] & ~has[other]))
    return [(Selector(where=where), int(weights @ found)) for where, found in sized]


def _phrases(encoded: Sequence[Encoded], items: int) -> list[tuple[Selector, int]]:
    weights = _weights(len(encoded), items)
    sizes: Counter[str] = Counter()
    for item, weight in zip(encoded, weights.tolist(), strict=True):
        tokens = item.text.split()
        pairs = (" ".join(pair) for pair in pairwise(tokens))
        for phrase in {*tokens, *pairs}:
            sizes[phrase] += weight
    return [(Selector(match=phrase), size) for phrase, size in sizes.items()]


def _weights(turn: int, items: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How often each item of the catalog is among the bench's items."""
    return np.bincount(np.arange(items) % turn, minlength=turn).astype(np.int64)


def _closest(sized: Sequence[tuple[Selector, int]], wanted: int, count: int) -> list[Selector]:
    near = [(abs(size - wanted), selector) for selector, size in sized]
    near = [(off, selector) for off, selector in near if off <= TOLERANCE * wanted]
    return [selector for _, selector in sorted(near, key=lambda n: n[0])[:count]]


def _matching(encoded: Sequence[Encoded], selector: Selector, items: int) -> list[int]:
    compiled = compile_selector(selector)
    chosen = [compiled.matches("", item.text, item.attributes) for item in encoded]
    return [number for number in range(items) if chosen[number % len(encoded)]]
