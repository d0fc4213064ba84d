"""How important a word is to an item: how often people say it when they choose the item.

    "night light bulb"   chosen 40 times, said in 33 of them: 710 of a thousand
    "moon"               chosen 12 times, said in 1 of them:  190

Of several words in one group, the more important one represents the item (extraction/assign.py).
So the identifier of an item and that of a query for it share more slots, than if the rarer word
represented both. Few choices say little: a word begins with the share of all words, as if it had
been seen _AS_IF_SEEN times already.
Source: OneRetrieval (arXiv 2606.13533), importance of words: behaviour.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from kae.encoders.catalog_reader import batch_items
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Encoded, Item
from kae.encoders.query import EXACT_SHARE, QUERY_CHARACTERS, BoundTerms, QueryEncoder
from kae.encoders.retriever.samples import Behaviour

_AS_IF_SEEN = 5
_THOUSAND = 1000
_AT_ONCE = 1024


def with_importance(
    codebook: Codebook, items: Iterable[Item], behaviour: Sequence[Behaviour]
) -> Codebook:
    """The same words and slots, ranked by behaviour; `items` is read once.

    A word that nobody could choose has the share of all words. Without a choice of a known item,
    the codebook stays as it is.
    """
    said = _SaidWords(codebook)
    choices: Counter[str] = Counter()  # of each item
    asked: defaultdict[str, Counter[str]] = defaultdict(Counter)  # and in how many a word is said
    for first in range(0, len(behaviour), _AT_ONCE):
        rows = behaviour[first : first + _AT_ONCE]
        for row, spellings in zip(rows, said.of_queries([row.query for row in rows]), strict=True):
            for item_id in dict.fromkeys(row.chosen()):
                choices[item_id] += 1
                asked[item_id].update(spellings)
    chosen: Counter[str] = Counter()
    named: Counter[str] = Counter()
    for batch in batch_items(item for item in items if item.id in choices):
        for item, spellings in zip(batch, said.of_items(batch), strict=True):
            for spelling in spellings:
                chosen[spelling] += choices[item.id]
                named[spelling] += asked[item.id][spelling]
    if not chosen:
        return codebook
    usual = named.total() / chosen.total()

    def importance(spelling: str) -> int:
        expected = named[spelling] + _AS_IF_SEEN * usual
        return round(_THOUSAND * expected / (chosen[spelling] + _AS_IF_SEEN))

    return Codebook(
        codebook.groups,
        codebook.fields,
        [
            replace(word, importance=importance(codebook.spelling_key_of(word)))
            for word in codebook.words
        ],
        codebook.catalog_items,
        codebook.solo_slots,
        codebook.tagger,
        codebook.form,
    )


class _SaidWords:
    """The spelling keys of the codebook's words that texts say."""

    def __init__(self, codebook: Codebook) -> None:
        self._encoder = Encoder(codebook)
        self._queries = QueryEncoder(codebook)
        self._spelling = {
            (word.category, word.word): codebook.spelling_key_of(word) for word in codebook.words
        }
        self._of_slot: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
        for word in codebook.words:
            slot = codebook.slot_of(word.category, word.word)
            if slot is not None:
                key = self._spelling[word.category, word.word]
                self._of_slot[slot.position, slot.index].add(key)

    def of_items(self, items: Sequence[Item]) -> list[frozenset[str]]:
        return [self._known(encoded) for encoded in self._encoder.encode_all(items)]

    def of_queries(self, texts: Sequence[str]) -> list[frozenset[str]]:
        """Words as items write them, and those that queries write in another way."""
        titles = [Item("", text[:QUERY_CHARACTERS]) for text in texts]
        return [
            self._known(encoded) | self._by_clauses(text)
            for text, encoded in zip(texts, self._encoder.encode_all(titles), strict=True)
        ]

    def _known(self, encoded: Encoded) -> frozenset[str]:
        keys = ((found.category, found.word) for found in encoded.attributes)
        return frozenset(self._spelling[key] for key in keys if key in self._spelling)

    def _by_clauses(self, text: str) -> frozenset[str]:
        return frozenset(
            spelling
            for clause in self._queries.encode(text, BoundTerms()).clauses
            for slot, share in clause.slots.items()
            if share == EXACT_SHARE
            for spelling in self._of_slot[slot.position, slot.index]
        )
