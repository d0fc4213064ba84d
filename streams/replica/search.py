"""Search: query -> wants -> slots -> beam over the trie -> items, ranked.

Candidates come from the decoded identifiers alone. A candidate whose own words cover nothing of the
query, and whose path has no slot of the query's words, is left out: only similar items mention the
query. The others are ranked by how much of the query their own words cover, plus a fifth of how
much their best path covers: an identifier is what an item is, not only what its text mentions. Ties
are ordered by popularity, then by id. Items that are pinned in one of the query's terms come first,
in the order of the pins. docs/adr/0015-search.md gives the reasons.
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
from kae.sinks.trie.beam import BeamPaths, Coverage, QueryClause, beam_search_all, path_coverage
from kae.sinks.trie.decoding import UNPINNED
from kae.sinks.trie.live_trie import LiveTrie
from kae.sinks.trie.sorted_arrays import Indices
from kae.streams.replica.query_statistics import (
    has_query_slot,
    heaviest_slots,
    score_own_words,
    want_statistics,
)
from kae.streams.replica.view import Pinned, View
from kae.streams.replica_api import words
from kae.streams.replica_api.answers import Hit, QueryShown, SearchAnswer, SlotShown

# The slots of a query that an answer lists: those that weigh most.
SLOTS_SHOWN = 64
# Items that are read to order ties by id, beyond the limit.
TIED = 1000
# The weight of the path's coverage, beside that of own words.
COVERAGE = 0.2
# Smaller differences of rank are rounding.
DECIMALS = 6


@dataclass(frozen=True, slots=True)
class _Reached:
    """The items that decoded paths lead to, each by its best path, as columns.

    Shapes: paths (6, n), the others (n,). `bindings` are 0 where the path is the item's own;
    `items` are numbers as in `WordStatistics`.
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
    own_words: float
    rank: float
    pin: int  # its place among the pins, or UNPINNED

    def order(self) -> tuple[int, float, float, str]:
        return self.pin, -self.rank, -self.item.popularity, self.item.id


class Search:
    """Answers the queries of one generation, each from the view that is given."""

    def __init__(self, codebook: Codebook, beam: int) -> None:
        self._codebook = codebook
        self._encoder = QueryEncoder(codebook)
        self._beam = beam

    def answer(self, view: View, text: str, limit: int) -> SearchAnswer:
        began = perf_counter()
        query = self._encoder.encode(text, view.terms)
        wants = want_statistics(view, query)
        reached = _reached(view, [want.wanted() for want in wants], self._beam, query.terms)
        decoded = perf_counter()
        own_words = score_own_words(view, wants, reached.items, reached.bindings)
        relevant = (own_words > 0) | has_query_slot(wants, reached.paths)
        relevant |= reached.pins < UNPINNED
        slots = heaviest_slots(wants, SLOTS_SHOWN)
        return SearchAnswer(
            version=view.version,
            query=self._understood(view, text, query, slots),
            items=[
                self._hit(view, slots, found)
                for found in _ranked(view, reached, own_words, relevant, limit)
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
            own_words=found.own_words,
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


def _reached(
    view: View, wanted: Sequence[QueryClause], beam: int, terms: Sequence[int]
) -> _Reached:
    tries = view.trie.merged.parts
    pinned = view.pinned_items(terms)
    parts = [
        (live.trie.entries, *_entries(live, decoded, pins, wanted))
        for live, decoded, pins in zip(
            tries, beam_search_all(tries, wanted, beam), _pinned_entries(view, pinned), strict=True
        )
    ]

    def column(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(entries, name)[found] for entries, found, _ in parts])

    shards, ordinals, bindings = column("shards"), column("ordinals"), column("bindings")
    coverage = np.concatenate([covered for _, _, covered in parts])
    items = view.word_statistics.numbers(shards, ordinals)
    # Of two paths with the same coverage the item's own comes first: its binding is 0.
    order = np.lexsort((bindings, -coverage))
    once = order[np.unique(items[order], return_index=True)[1]]
    return _Reached(
        np.concatenate([entries.slots[:, found] for entries, found, _ in parts], 1)[:, once],
        shards[once],
        ordinals[once],
        items[once],
        bindings[once],
        column("popularity")[once],
        coverage[once],
        _pin_places(pinned, shards[once], ordinals[once]),
    )


def _entries(
    live: LiveTrie, decoded: BeamPaths, pins: Indices, wanted: Sequence[QueryClause]
) -> tuple[Indices, Coverage]:
    """The live entries behind decoded paths, and those of `pins`, with their coverage."""
    entries, places = live.entries_of_nodes(decoded.nodes)
    if not len(pins):
        return entries, decoded.coverage[places]
    covered = path_coverage(live.trie.entries.slots[:, pins], wanted)
    return np.append(entries, pins), np.append(decoded.coverage[places], covered)


def _pinned_entries(view: View, pinned: Sequence[Pinned]) -> tuple[Indices, Indices]:
    """The entries of pinned items in base and overlay, which are candidates in any beam."""
    nothing = np.zeros(0, np.int64)
    found = [(nothing, nothing), *(view.trie.entries_of(*one) for one in pinned)]
    base, overlay = (np.concatenate(of_part) for of_part in zip(*found, strict=True))
    return base, overlay


def _pin_places(
    pinned: Sequence[Pinned], shards: NDArray[np.uint16], ordinals: NDArray[np.uint32]
) -> Indices:
    places = np.full(len(ordinals), UNPINNED, np.int64)
    for place, (_, shard, ordinal) in reversed(list(enumerate(pinned))):
        places[(shards == shard) & (ordinals == ordinal)] = place
    return places


def _ranked(
    view: View, reached: _Reached, own_words: FloatArray, relevant: NDArray[np.bool_], limit: int
) -> list[_Candidate]:
    """The best `limit` of the relevant; only they and those that tie with the last are read."""
    rank = np.round(own_words + np.float32(COVERAGE) * reached.coverage, DECIMALS)
    popularity = reached.popularity
    pins = reached.pins
    order = np.lexsort((-popularity, -rank, pins))
    order = order[relevant[order]]
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
        own_words,
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
