"""From a query to its identifier, by the dictionary that items are encoded with.

A query is read as a title is; a word that queries write in another way than items fills a position
that is still empty; a bound term takes its position, since it was bound to be found.
"""

from collections import defaultdict
from statistics import median

from kae.encoders.categories import EMPTY, Slot
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Item
from kae.encoders.query import EXACT_SHARE, QUERY_CHARACTERS, BoundTerms, QueryEncoder
from kae.encoders.retriever.samples import Slots

NO_TERMS = BoundTerms()


class QueryIdentifiers:
    """Identifiers of queries; a pure function of the query and the bound terms."""

    def __init__(self, codebook: Codebook) -> None:
        self._form = codebook.form
        self._titles = Encoder(codebook)
        self._queries = QueryEncoder(codebook)
        self._weights: defaultdict[str, float] = defaultdict(float)
        if codebook.knows_behaviour:
            for word in codebook.words:
                for token in word.word.split():
                    self._weights[token] = max(self._weights[token], word.importance / 1000, 1e-3)
        self._usual = median(self._weights.values()) if self._weights else 1.0

    def identify(self, text: str, terms: BoundTerms = NO_TERMS) -> Slots:
        """The slots of a query's words, empty where it has none; EMPTY when it has no words."""
        query = self._queries.encode(text, terms)
        if not query.clauses:
            return EMPTY
        slots = list(self._titles.encode(Item("", text[:QUERY_CHARACTERS])).identifier)
        bound: set[int] = set()
        for clause in query.clauses:
            # In the order of slots: the first has the most frequent word.
            for slot in sorted(
                slot for slot, share in clause.slots.items() if share == EXACT_SHARE
            ):
                if clause.terms and slot.position not in bound:
                    slots[slot.position] = slot.index
                    bound.add(slot.position)
                elif not slots[slot.position]:
                    slots[slot.position] = slot.index
        a, b, c, d, e, f = slots
        return (a, b, c, d, e, f)

    def weight_of(self, word: str) -> float:
        """How often people say a word of an item, in [1/1000, 1]; 1 for all without behaviour."""
        return self._weights.get(word, self._usual)

    def term_slots(self, text: str, terms: BoundTerms) -> tuple[Slot, ...]:
        """The slots of the bound terms that a query names, once each."""
        query = self._queries.encode(text, terms)
        named = [clause.word for clause in query.clauses if clause.terms]
        read = terms.read_as(self._form)
        return tuple(dict.fromkeys(slot for word in named for _, slot in read.bound(word)))
