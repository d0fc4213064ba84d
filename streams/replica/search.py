"""Search: query -> wants -> slots -> beam over the trie -> items, ranked.

Candidates come from the decoded identifiers alone. One that neither says anything of the query nor
holds a slot that the query names is not shown: only its likes say it. The rank of the others is by
how much of the query the item's own words say, to which how much of it the best path covers adds a
fifth: what the identifier carries is what an item is, not only what its text mentions. Then by
popularity, then by id. docs/adr/0015-search.md says why. Before all of them come the items that are
pinned in a term that the query says, in their order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import Slot
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.query import Query, QueryEncoder
from kae.sinks.log.edits import PutItem
from kae.sinks.postings.statistics import FloatArray
from kae.sinks.trie.beam import Coverage, Decoded, Wanted, coverage_of, decode_all
from kae.sinks.trie.decoding import UNPINNED
from kae.sinks.trie.layer import Layer
from kae.sinks.trie.ranges import Indices
from kae.streams.replica.pins import Pinned, pinned_items
from kae.streams.replica.query_statistics import heaviest_slots, named, own_words, want_statistics
from kae.streams.replica.view import View
from kae.streams.replica_api import words
from kae.streams.replica_api.answers import Found, Hit, QueryShown, SlotShown, Version

# Of the slots that a query was understood as, those that weigh most are shown.
SLOTS_SHOWN = 64
# Equally ranked items that are read to tell them apart, beyond those that are asked for.
TIED = 1000
# What coverage adds to own words.
COVERAGE = 0.2
# Ranks differ from here on; what is below is rounding.
DECIMALS = 6


@dataclass(frozen=True, slots=True)
class _Reached:
    """The items that decoded paths lead to, each by its best path; an element each.

    `paths` are (6, n); `bindings` are 0 where the path is the item's own; `items` are numbers as in
    `Said`.
    """

    paths: NDArray[np.uint16]
    shards: NDArray[np.uint16]
    ordinals: NDArray[np.uint32]
    items: Indices
    bindings: Indices
    popularity: FloatArray
    coverage: Coverage
    pins: Indices  # places among the pins of the query's terms, or UNPINNED


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An item, the binding of its best path (0: its own), and what it is ranked by."""

    item: PutItem
    binding: int
    coverage: float
    said: float
    rank: float
    pin: int  # its place among the pins, or UNPINNED

    def order(self) -> tuple[int, float, float, str]:
        return self.pin, -self.rank, -self.item.popularity, self.item.id


class Search:
    """Answers queries from whatever view is given."""

    def __init__(self, codebook: Codebook, beam: int) -> None:
        self._codebook = codebook
        self._encoder = QueryEncoder(codebook)
        self._beam = beam

    def answer(self, view: View, text: str, limit: int) -> Found:
        began = perf_counter()
        query = self._encoder.encode(text, view.terms)
        asked = want_statistics(view, query)
        reached = _reached(view, [one.wanted() for one in asked], self._beam, query.terms)
        decoded = perf_counter()
        said = own_words(view, asked, reached.items, reached.bindings)
        shown = (said > 0) | named(asked, reached.paths) | (reached.pins < UNPINNED)
        slots = heaviest_slots(asked, SLOTS_SHOWN)
        return Found(
            version=version_of(view),
            query=self._understood(view, text, query, slots),
            items=[
                self._hit(view, slots, found)
                for found in _ranked(view, reached, said, shown, limit)
            ],
            took_ms=_ms(perf_counter() - began),
            decoded_ms=_ms(decoded - began),
        )

    def _hit(self, view: View, slots: dict[Slot, float], found: _Candidate) -> Hit:
        own = words.own_words(self._codebook, found.item)
        bound = view.bindings.bound[found.binding] if found.binding else None
        path = list(found.item.identifier)
        if bound:
            path[bound.position] = bound.index
        return Hit(
            id=found.item.id,
            title=found.item.title,
            identifier=own,
            path=words.path_words(own, bound),
            covers=[p for p, index in enumerate(path) if Slot(p, index) in slots],
            via=bound.term if bound else None,
            score=found.coverage,
            own_words=found.said,
            popularity=found.item.popularity,
            pinned=found.pin < UNPINNED,
        )

    def _understood(
        self, view: View, text: str, query: Query, slots: dict[Slot, float]
    ) -> QueryShown:
        return QueryShown(
            text=text,
            words=query.words,
            terms=[view.bindings.bound[binding].term for binding in query.terms],
            slots=[
                SlotShown(
                    slot.position,
                    slot.index,
                    words.slot_word(self._codebook, view.bindings, slot.position, slot.index) or "",
                    round(weight, 6),
                )
                for slot, weight in slots.items()
            ],
            unknown=query.unknown,
        )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def version_of(view: View) -> Version:
    return Version(view.generation, view.number, view.bindings.version, view.versions)


def _reached(view: View, wanted: Sequence[Wanted], beam: int, terms: Sequence[int]) -> _Reached:
    layers = view.trie.stack.layers
    pinned = pinned_items(view, terms)
    parts = [
        (layer.trie.entries, *_behind(layer, decoded, held, wanted))
        for layer, decoded, held in zip(
            layers, decode_all(layers, wanted, beam), _held(view, pinned), strict=True
        )
    ]

    def joined(column: str) -> NDArray[Any]:
        return np.concatenate([getattr(entries, column)[found] for entries, found, _ in parts])

    shards, ordinals, bindings = joined("shards"), joined("ordinals"), joined("bindings")
    coverage = np.concatenate([covered for _, _, covered in parts])
    items = view.said.numbers(shards, ordinals)
    # Of two paths that cover the same the item's own comes first: its binding is 0.
    order = np.lexsort((bindings, -coverage))
    once = order[np.unique(items[order], return_index=True)[1]]
    return _Reached(
        np.concatenate([entries.slots[:, found] for entries, found, _ in parts], 1)[:, once],
        shards[once],
        ordinals[once],
        items[once],
        bindings[once],
        joined("popularity")[once],
        coverage[once],
        _places(pinned, shards[once], ordinals[once]),
    )


def _behind(
    layer: Layer, decoded: Decoded, held: Indices, wanted: Sequence[Wanted]
) -> tuple[Indices, Coverage]:
    """The live entries behind decoded paths, and the `held` ones, with their coverage."""
    entries, places = layer.entries_below(decoded.nodes)
    if not len(held):
        return entries, decoded.coverage[places]
    covered = coverage_of(layer.trie.entries.slots[:, held], wanted)
    return np.append(entries, held), np.append(decoded.coverage[places], covered)


def _held(view: View, pinned: Sequence[Pinned]) -> tuple[Indices, Indices]:
    """The entries of pinned items, which no beam may lose, by layer."""
    nothing = np.zeros(0, np.int64)
    found = [(nothing, nothing), *(view.trie.entries_of(*one) for one in pinned)]
    base, overlay = (np.concatenate(of_layer) for of_layer in zip(*found, strict=True))
    return base, overlay


def _places(
    pinned: Sequence[Pinned], shards: NDArray[np.uint16], ordinals: NDArray[np.uint32]
) -> Indices:
    places = np.full(len(ordinals), UNPINNED, np.int64)
    for place, (_, shard, ordinal) in reversed(list(enumerate(pinned))):
        places[(shards == shard) & (ordinals == ordinal)] = place
    return places


def _ranked(
    view: View, reached: _Reached, said: FloatArray, shown: NDArray[np.bool_], limit: int
) -> list[_Candidate]:
    """The best `limit` of those shown; only they, and the ones that tie with the last, are read."""
    rank = np.round(said + np.float32(COVERAGE) * reached.coverage, DECIMALS)
    popularity = reached.popularity
    pins = reached.pins
    order = np.lexsort((-popularity, -rank, pins))
    order = order[shown[order]]
    if len(order) > limit:
        last, rest = order[limit - 1], order[limit:]
        tied = (rank[rest] == rank[last]) & (popularity[rest] == popularity[last])
        tied &= pins[rest] == pins[last]
        order = order[: limit + min(TIED, int(tied.sum()))]
    columns = (
        reached.shards,
        reached.ordinals,
        reached.bindings,
        reached.coverage,
        said,
        rank,
        pins,
    )
    found = [
        _Candidate(
            view.shards[shard].item_at(ordinal),
            binding,
            round(covered, DECIMALS),
            round(own, DECIMALS),
            value,
            pin,
        )
        for shard, ordinal, binding, covered, own, value, pin in zip(
            *(column[order].tolist() for column in columns), strict=True
        )
    ]
    return sorted(found, key=_Candidate.order)[:limit]
