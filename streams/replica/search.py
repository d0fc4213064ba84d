"""Search: query -> wants -> slots -> beam over the trie -> items, ranked.

Candidates come from the decoded identifiers alone. Among them the rank is by how much of the query
the item's own words say, to which how much of it the best path covers adds a fifth: what the
identifier carries is what an item is, not only what its text mentions. Then by popularity, then by
id. docs/adr/0012-search.md says why.
"""

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from kae.encoders.categories import Slot
from kae.encoders.codebook import Codebook
from kae.encoders.query import Query, QueryEncoder
from kae.sinks.beam import Coverage, Decoded, decode
from kae.sinks.edits import PutItem
from kae.sinks.said import Floats
from kae.sinks.trie import Indices
from kae.streams.replica import words
from kae.streams.replica.answers import Found, Hit, QueryShown, SlotShown, Version
from kae.streams.replica.asked import ask, heaviest_slots, own_words
from kae.streams.replica.view import View

# Of the slots that a query was understood as, those that weigh most are shown.
SLOTS_SHOWN = 64
# Equally ranked items that are read to tell them apart, beyond those that are asked for.
TIED = 1000
# What coverage adds to own words.
COVERAGE = 0.2
# Ranks differ from here on; what is below is rounding.
DECIMALS = 6


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An item, the entry of its best path, and what it is ranked by."""

    item: PutItem
    entry: int
    coverage: float
    said: float
    rank: float

    def order(self) -> tuple[float, float, str]:
        return -self.rank, -self.item.popularity, self.item.id


class Search:
    """Answers queries from whatever view is given."""

    def __init__(self, codebook: Codebook, beam: int) -> None:
        self._codebook = codebook
        self._encoder = QueryEncoder(codebook)
        self._beam = beam

    def answer(self, view: View, text: str, limit: int) -> Found:
        began = perf_counter()
        query = self._encoder.encode(text, view.terms)
        asked = ask(view, query)
        decoded = decode(view.trie, [one.wanted() for one in asked], self._beam)
        entries, coverage = _best_entries(view, decoded)
        said = own_words(view, asked, entries)
        slots = heaviest_slots(asked, SLOTS_SHOWN)
        return Found(
            version=version_of(view),
            query=self._understood(view, text, query, slots),
            items=[
                self._hit(view, slots, found)
                for found in _ranked(view, entries, coverage, said, limit)
            ],
            took_ms=round((perf_counter() - began) * 1000, 3),
        )

    def _hit(self, view: View, slots: dict[Slot, float], found: _Candidate) -> Hit:
        own = words.own_words(self._codebook, found.item)
        path = view.trie.path_at(found.entry)
        binding = int(view.trie.entries.bindings[found.entry])
        bound = view.bindings.active[binding] if binding else None
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
        )

    def _understood(
        self, view: View, text: str, query: Query, slots: dict[Slot, float]
    ) -> QueryShown:
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
                for slot, weight in slots.items()
            ],
        )


def version_of(view: View) -> Version:
    return Version(view.generation, view.number, view.bindings.version, view.versions)


def _best_entries(view: View, decoded: Decoded) -> tuple[Indices, Coverage]:
    """The best entry, with its coverage, of each item that a decoded path leads to."""
    deepest, entries = view.trie.levels[-1], view.trie.entries
    first = deepest.first_child[decoded.nodes]
    counts = deepest.first_child[decoded.nodes + 1] - first
    found = np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
    coverage = np.repeat(decoded.coverage, counts)
    # Of two paths that cover the same the item's own comes first: its binding is 0.
    order = np.lexsort((entries.bindings[found], -coverage))
    found, coverage = found[order], coverage[order]
    items = entries.shards[found].astype(np.int64) << 32 | entries.ordinals[found]
    once = np.unique(items, return_index=True)[1]
    return found[once], coverage[once]


def _ranked(
    view: View, entries: Indices, coverage: Coverage, said: Floats, limit: int
) -> list[_Candidate]:
    """The best `limit` candidates; only those, and the ones that tie with the last, are read."""
    rank = np.round(said + np.float32(COVERAGE) * coverage, DECIMALS)
    popularity = view.trie.entries.popularity[entries]
    order = np.lexsort((-popularity, -rank))
    if len(order) > limit:
        last, rest = order[limit - 1], order[limit:]
        tied = (rank[rest] == rank[last]) & (popularity[rest] == popularity[last])
        order = order[: limit + min(TIED, int(tied.sum()))]
    found = [
        _Candidate(_item(view, entry), entry, round(covered, DECIMALS), round(own, DECIMALS), value)
        for entry, covered, own, value in zip(
            *(column[order].tolist() for column in (entries, coverage, said, rank)), strict=True
        )
    ]
    return sorted(found, key=_Candidate.order)[:limit]


def _item(view: View, entry: int) -> PutItem:
    entries = view.trie.entries
    return view.shards[int(entries.shards[entry])].item_at(int(entries.ordinals[entry]))
