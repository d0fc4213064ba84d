"""Search: query -> words -> slots -> beam over the trie -> items, ranked.

Ranked by how much of the query an item's best path covers, then by the share of the query's tokens
that the item's own text has, then by popularity, then by id.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from kae.encoders.categories import Slot
from kae.encoders.codebook import Codebook
from kae.encoders.query import Query, QueryEncoder
from kae.encoders.text import normalise
from kae.sinks.beam import Coverage, Decoded, decode
from kae.sinks.edits import PutItem
from kae.sinks.trie import Indices
from kae.streams.replica import words
from kae.streams.replica.answers import Found, Hit, QueryShown, SlotShown, Version
from kae.streams.replica.view import View

# Items whose own text is looked at; of equal coverage the most popular ones are.
CANDIDATES = 1000


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An item, the entry of its best path, and what it is ranked by."""

    item: PutItem
    entry: int
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
        decoded = decode(view.trie, query.slots, self._beam)
        entries, coverage = _best_entries(view, decoded, limit)
        tokens = list(dict.fromkeys(normalise(text).split()))
        candidates = sorted(
            (
                _Candidate(item, entry, covered, _share(tokens, item))
                for (entry, covered), item in zip(
                    zip(entries.tolist(), coverage.tolist(), strict=True),
                    _items(view, entries),
                    strict=True,
                )
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
        path = view.trie.path_at(found.entry)
        binding = int(view.trie.entries.bindings[found.entry])
        bound = view.bindings.active[binding] if binding else None
        return Hit(
            id=found.item.id,
            title=found.item.title,
            identifier=own,
            path=words.path_words(own, bound),
            covers=[p for p, index in enumerate(path) if Slot(p, index) in query.slots],
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


def _best_entries(view: View, decoded: Decoded, limit: int) -> tuple[Indices, Coverage]:
    """The best entry, with its coverage, of each item that may be among the best `limit`."""
    deepest, entries = view.trie.levels[-1], view.trie.entries
    first = deepest.first_child[decoded.nodes]
    counts = deepest.first_child[decoded.nodes + 1] - first
    found = np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
    coverage = np.repeat(decoded.coverage, counts)
    # Of two paths that cover the same the item's own comes first: its binding is 0.
    order = np.lexsort(
        (
            entries.bindings[found],
            entries.ordinals[found],
            entries.shards[found],
            -entries.popularity[found],
            -coverage,
        )
    )
    found, coverage = found[order], coverage[order]
    items = entries.shards[found].astype(np.int64) << 32 | entries.ordinals[found]
    once = np.sort(np.unique(items, return_index=True)[1])
    # What covers less than the last item that is asked for cannot come before it.
    worst = coverage[once[min(limit, len(once)) - 1]] if len(once) else 0.0
    once = once[coverage[once] >= worst][: max(CANDIDATES, limit)]
    return found[once], coverage[once]


def _items(view: View, found: Indices) -> Iterator[PutItem]:
    entries = view.trie.entries
    for shard, ordinal in zip(
        entries.shards[found].tolist(), entries.ordinals[found].tolist(), strict=True
    ):
        yield view.shards[shard].item_at(ordinal)


def _share(tokens: list[str], item: PutItem) -> float:
    """How many of the query's tokens the item's own text or attributes have."""
    if not tokens:
        return 0.0
    text = f" {item.text} {' '.join(found.word for found in item.attributes)} "
    return sum(f" {token} " in text for token in tokens) / len(tokens)
