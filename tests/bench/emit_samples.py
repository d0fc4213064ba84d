"""The samples that a small model learns from, as tokens.

    query          slots of some of an item's words, those words  ->  the item's identifier
    word           one word                                       ->  its slot
    self-routing   a reserved slot, a word that nobody knows      ->  an identifier with that slot

A query is its own identifier (the slots that the dictionary has for its words, the others empty),
then its words; unknown words are one token. Codes have no dictionary: their queries are words
alone, and there are no other samples.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kae.bench.emit_catalog import EmitCatalog, EmitTerm, Identifiers
from kae.encoders.categories import POSITIONS, Slot
from kae.encoders.codebook.tokens import TokenLayout

# As BART has them.
PAD, END, UNKNOWN = 1, 2, 3
WORDS = 4
# Of a query's words, how many the model is not to know, so that it lives with unknown ones.
UNKNOWN_SHARE = 0.1
# Self-routing samples a reserved slot, as in the paper.
ROUTED = 10
# Of a batch: self-routing, words, and the rest queries.
ROUTED_SHARE, WORD_SHARE = 0.2, 0.1


@dataclass(frozen=True, slots=True)
class Sample:
    source: list[int]
    target: list[int]


class Samples:
    """`identifiers` are what is to be emitted; `known` is whether a dictionary has their slots."""

    def __init__(
        self,
        catalog: EmitCatalog,
        identifiers: Identifiers,
        *,
        known: bool,
        routed: bool,
        seed: int,
    ) -> None:
        texts = sorted({token for word in catalog.words.values() for token in word.split(" ")})
        self._texts = {text: WORDS + number for number, text in enumerate(texts)}
        self.layout = TokenLayout.of(catalog.codebook, WORDS + len(texts))
        self._first = [self.layout.tokens_of(position).start for position in range(POSITIONS)]
        self._catalog = catalog
        self._identifiers = identifiers.tolist()
        self._known = known
        self._slots = sorted(catalog.words)
        self._chance = random.Random(seed)
        self._routed = list(self._all_routed()) if routed else []

    def batches(self, count: int, size: int) -> Iterator[list[Sample]]:
        for _ in range(count):
            yield [self._any() for _ in range(size)]

    def asked(self, term: EmitTerm, *, beside: bool) -> list[int]:
        """A query for a term, alone or with a word that its items have too."""
        slots = [term.slot, *([term.beside] if beside else [])]
        texts = [UNKNOWN, *(self._text(term.beside) if beside else [])]
        return self._source(texts, slots)

    def _any(self) -> Sample:
        drawn = self._chance.random()
        if self._routed and drawn < ROUTED_SHARE:
            return self._chance.choice(self._routed)
        if self._known and drawn > 1 - WORD_SHARE:
            slot = self._chance.choice(self._slots)
            return Sample(self._source(self._text(slot), ()), [self._token(slot), END])
        return self._query()

    def _query(self) -> Sample:
        ordinal = self._chance.randrange(len(self._identifiers))
        said = self._catalog.said_of(ordinal)
        slots = self._chance.sample(said, min(len(said), self._chance.randint(1, 3)))
        texts = [
            UNKNOWN if self._chance.random() < UNKNOWN_SHARE else token
            for slot in slots
            for token in self._text(slot)
        ]
        return Sample(self._source(texts, slots), self._target(self._identifiers[ordinal]))

    def _all_routed(self) -> Iterator[Sample]:
        for position in range(POSITIONS):
            for index in self._catalog.codebook.reserved(position):
                for number in range(ROUTED):
                    yield self._routing(Slot(position, index), beside=number % 2 == 1)

    def _routing(self, slot: Slot, *, beside: bool) -> Sample:
        ordinal = self._chance.randrange(len(self._identifiers))
        path = self._identifiers[ordinal].copy()
        path[slot.position] = slot.index
        others = [o for o in self._catalog.said_of(ordinal) if o.position != slot.position]
        more = [self._chance.choice(others)] if beside and others else []
        texts = [UNKNOWN, *(token for one in more for token in self._text(one))]
        return Sample(self._source(texts, [slot, *more]), self._target(path))

    def _source(self, texts: list[int], slots: Sequence[Slot]) -> list[int]:
        """Where there is a dictionary, the query's own identifier stands before its words."""
        if not self._known:
            return [*texts, END]
        identifier = [0] * POSITIONS
        for slot in slots:
            identifier[slot.position] = slot.index
        return [*self._target(identifier)[:POSITIONS], *texts, END]

    def _target(self, path: Sequence[int]) -> list[int]:
        return [*(self._first[p] + index for p, index in enumerate(path)), END]

    def _text(self, slot: Slot) -> list[int]:
        return [self._texts[token] for token in self._catalog.words[slot].split(" ")]

    def _token(self, slot: Slot) -> int:
        return self._first[slot.position] + slot.index
