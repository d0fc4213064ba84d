"""BM25 over titles and descriptions, by bm25s as its documentation shows it.

Lower case, its own token pattern and English stop words, the English Snowball stemmer; k1 = 1.5,
b = 0.75, the IDF of Lucene: all defaults.
"""

from collections.abc import Sequence

import bm25s
import Stemmer

from kae.encoders.items import Item


class Bm25Peer:
    """An index of the items, in memory."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._ids = [item.id for item in items]
        self._stemmer = Stemmer.Stemmer("english")
        self._index = bm25s.BM25()
        self._index.index(
            self._tokens([f"{item.title} {item.description}" for item in items]),
            show_progress=False,
        )

    def rank(self, query: str, limit: int) -> list[str]:
        """The ids of the items that have a word of the query, the best first."""
        numbers, scores = self._index.retrieve(
            self._tokens([query]), k=min(limit, len(self._ids)), show_progress=False
        )
        return [
            self._ids[number]
            for number, score in zip(numbers[0].tolist(), scores[0].tolist(), strict=True)
            if score > 0
        ]

    def _tokens(self, texts: list[str]) -> object:
        return bm25s.tokenize(texts, stopwords="en", stemmer=self._stemmer, show_progress=False)
