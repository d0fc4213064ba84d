"""The statistics of a query's wants in one view: their postings, rarity and worth in each slot.

A want is worth, in a slot, the share of the slot's items that mention it. A trained model learns
this from titles and identifiers; here it is counted.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import Slot
from kae.encoders.query import Query, Variant, WordClause
from kae.sinks.postings.statistics import FloatArray, TermPostings
from kae.sinks.trie.beam import QueryClause
from kae.sinks.trie.sorted_arrays import Indices
from kae.streams.replica.view import View

# BM25's k1 and b, for short texts.
SATURATION = 0.9
LENGTH = 0.4
# The weight of a want that no item mentions: its meaning is guessed from its spelling.
GUESSED = 0.6


@dataclass(frozen=True, slots=True)
class WantStatistics:
    """A want in one view; the weights of a query's wants add up to 1.

    `worth` has an array for each position, by slot index.
    """

    want: WordClause
    weight: float
    mentions: TermPostings
    worth: list[FloatArray]

    def wanted(self) -> QueryClause:
        return QueryClause(self.weight, self.worth)


def want_statistics(view: View, query: Query) -> list[WantStatistics]:
    """Look up every want; rarer ones weigh more."""
    looked_up = [_look_up(view, want) for want in query.clauses]
    whole = sum(rarity for _, rarity in looked_up)
    return [
        WantStatistics(want, rarity / whole, mentions, _worth(view, want, mentions))
        for want, (mentions, rarity) in zip(query.clauses, looked_up, strict=True)
    ]


def heaviest_slots(wants: Sequence[WantStatistics], most: int) -> dict[Slot, float]:
    """The slots that weigh most in a query, the heaviest first.

    A want that the codebook has no slot for counts in the slots whose items mention it.
    """
    weights: defaultdict[Slot, float] = defaultdict(float)
    for one in wants:
        for slot in one.want.slots or _most_worth(one.worth, most):
            weights[slot] += one.weight * float(one.worth[slot.position][slot.index])
    heaviest = sorted(weights.items(), key=lambda weighed: (-weighed[1], weighed[0]))
    return dict(heaviest[:most])


def _most_worth(worth: Sequence[FloatArray], most: int) -> Iterator[Slot]:
    for position, known in enumerate(worth):
        order = np.lexsort((np.arange(len(known)), -known))[:most]
        yield from (Slot(position, index) for index in order[known[order] > 0].tolist())


def score_own_words(
    view: View, wants: Sequence[WantStatistics], items: Indices, bindings: Indices
) -> FloatArray:
    """How much of the query the items' own words cover, 0 to 1: BM25, divided by its maximum.

    A term counts as an own word of the items that it is bound to; `bindings` are those of the
    items' paths.
    """
    mean = max(1.0, view.word_statistics.mean_length)
    lengths = view.word_statistics.lengths(items)
    damping = SATURATION * (1 - LENGTH + LENGTH * lengths / mean)
    scores = np.zeros(len(items), np.float32)
    for one in wants:
        times = one.mentions.frequencies_in(items)
        share = times / (times + damping)
        if one.want.terms:
            share[np.isin(bindings, one.want.terms)] = 1
        scores += np.float32(one.weight) * share
    return scores


def has_query_slot(wants: Sequence[WantStatistics], paths: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Whether each of some paths, one a column, has a slot of the query's words."""
    found = np.zeros(paths.shape[1], np.bool_)
    slots = {slot for one in wants for slot in one.want.slots}
    for position, held in enumerate(paths):
        indices = [slot.index for slot in slots if slot.position == position]
        found |= np.isin(held, indices)
    return found


def _look_up(view: View, want: WordClause) -> tuple[TermPostings, float]:
    """The items that mention a want, and its rarity: BM25's inverse document frequency."""
    mentions, trust = _mentions(view, want.variants), 1.0
    if not len(mentions.items) and want.corrections:
        mentions, trust = _mentions(view, want.corrections), GUESSED
    # A term counts as the rarest of words: it was bound to be found.
    having = 0 if want.terms else len(mentions.items)
    return mentions, trust * log(1 + (view.items - having + 0.5) / (having + 0.5))


def _mentions(view: View, ways: Sequence[Variant]) -> TermPostings:
    """The items that mention a want in any way, each as often as in its most frequent way."""
    found = [view.word_statistics.postings(way) for way in ways]
    if len(found) == 1:
        return found[0]
    items = np.unique(np.concatenate([one.items for one in found]))
    return TermPostings(items, np.maximum.reduce([one.frequencies_in(items) for one in found]))


def _worth(view: View, want: WordClause, mentions: TermPostings) -> list[FloatArray]:
    """By position and slot: from what items mention and from what the codebook knows."""
    worth = view.word_statistics.slot_shares(mentions)
    for slot, share in want.slots.items():
        known = worth[slot.position]
        if slot.index >= len(known):
            known = worth[slot.position] = np.pad(known, (0, slot.index + 1 - len(known)))
        known[slot.index] = max(known[slot.index], share)
    return worth
