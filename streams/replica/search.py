"""Search: query -> words -> slots -> beam over the trie -> items, ranked.

Ranked by how much of the query an item's best path covers, then by the share of the query's tokens
that the item's own text has, then by popularity, then by id.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import Identifier, Slot
from kae.encoders.codebook import Codebook
from kae.encoders.query import Query, QueryEncoder
from kae.encoders.text import normalise
from kae.sinks.beam import Coverage, Decoded, decode_all
from kae.sinks.edits import PutItem
from kae.sinks.layer import Layer
from kae.sinks.trie import Indices
from kae.streams.replica import words
from kae.streams.replica.answers import Found, Hit, QueryShown, SlotShown, Version
from kae.streams.replica.view import View

# Items whose own text is looked at; of equal coverage the most popular ones are.
CANDIDATES = 1000


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An item, its best path by the binding it is of (0: its own), and what it is ranked by."""

    item: PutItem
    path: Identifier
    binding: int
    coverage: float
    share: float

    def order(self) -> tuple[float, float, float, str]:
        return -self.coverage, -self.share, -self.item.popularity, self.item.id


class Search:
    """Answers queries from whatever view is given."""

    def __init__(self, codebook: Codebook, beam: int) -> None:
        self._codebook = codebook
        self._encoder = QueryEncoder(codebook)
        self._beam = beam

    def answer(self, view: View, text: str, limit: int) -> Found:
        began = perf_counter()
        query = self._encoder.encode(text, view.terms)
        best = _best_entries(view, query, self._beam, limit)
        tokens = list(dict.fromkeys(normalise(text).split()))
        candidates = sorted(
            (
                _Candidate(item, path, binding, covered, _share(tokens, item))
                for item, path, binding, covered in best
            ),
            key=_Candidate.order,
        )
        return Found(
            version=version_of(view),
            query=self._understood(view, text, query),
            items=[self._hit(view, query, found) for found in candidates[:limit]],
            took_ms=round((perf_counter() - began) * 1000, 3),
        )

    def _hit(self, view: View, query: Query, found: _Candidate) -> Hit:
        own = words.own_words(self._codebook, found.item)
        bound = view.bindings.active[found.binding] if found.binding else None
        return Hit(
            id=found.item.id,
            title=found.item.title,
            identifier=own,
            path=words.path_words(own, bound),
            covers=[p for p, index in enumerate(found.path) if Slot(p, index) in query.slots],
            via=bound.term if bound else None,
            score=round(found.coverage, 6),
            own_words=round(found.share, 6),
            popularity=found.item.popularity,
        )

    def _understood(self, view: View, text: str, query: Query) -> QueryShown:
        return QueryShown(
            text=text,
            words=query.words,
            terms=[view.bindings.active[binding].term for binding in query.terms],
            slots=[
                SlotShown(
                    slot.position,
                    slot.index,
                    words.slot_word(self._codebook, view.bindings, slot.position, slot.index) or "",
                    round(weight, 6),
                )
                for slot, weight in sorted(query.slots.items(), key=lambda s: (-s[1], s[0]))
            ],
        )


def version_of(view: View) -> Version:
    return Version(view.generation, view.number, view.bindings.version, view.versions)


@dataclass(frozen=True, slots=True)
class _Entries:
    """Live entries of one layer that cover something of the query; an element each."""

    layer: Layer
    entries: Indices
    coverage: Coverage


def _best_entries(
    view: View, query: Query, beam: int, limit: int
) -> Iterator[tuple[PutItem, Identifier, int, float]]:
    """The best path of each item that may be among the best `limit`, with its coverage."""
    layers = view.trie.parts
    parts = [
        _behind(layer, decoded)
        for layer, decoded in zip(layers, decode_all(layers, query.slots, beam), strict=True)
    ]

    def joined(column: str) -> NDArray[Any]:
        return np.concatenate([getattr(p.layer.trie.entries, column)[p.entries] for p in parts])

    shards, ordinals = joined("shards"), joined("ordinals")
    bindings, popularity = joined("bindings"), joined("popularity")
    coverage = np.concatenate([p.coverage for p in parts])
    # Of two paths that cover the same the item's own comes first: its binding is 0.
    order = np.lexsort((bindings, ordinals, shards, -popularity, -coverage))
    items = shards[order].astype(np.int64) << 32 | ordinals[order]
    once = order[np.sort(np.unique(items, return_index=True)[1])]
    # What covers less than the last item that is asked for cannot come before it.
    worst = coverage[once[min(limit, len(once)) - 1]] if len(once) else 0.0
    once = once[coverage[once] >= worst][: max(CANDIDATES, limit)]
    size = len(parts[0].entries)
    for place in once.tolist():
        part, entry = (parts[0], place) if place < size else (parts[1], place - size)
        item = view.shards[int(shards[place])].item_at(int(ordinals[place]))
        path = part.layer.trie.path_at(int(part.entries[entry]))
        yield item, path, int(bindings[place]), float(coverage[place])


def _behind(layer: Layer, decoded: Decoded) -> _Entries:
    entries, places = layer.entries_below(decoded.nodes)
    return _Entries(layer, entries, decoded.coverage[places])


def _share(tokens: list[str], item: PutItem) -> float:
    """How many of the query's tokens the item's own text or attributes have."""
    if not tokens:
        return 0.0
    text = f" {item.text} {' '.join(found.word for found in item.attributes)} "
    return sum(f" {token} " in text for token in tokens) / len(tokens)
