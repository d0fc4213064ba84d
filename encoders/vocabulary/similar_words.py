"""Which words of a codebook resemble a new word, by spelling or by meaning.

"toner cartridges"   has the spelling key of "toner cartridge", which the codebook has
"cartrigde"          is one edit away from "cartridge"
"earphones"          means much the same as "ear headphones"

Meaning is the cosine of vectors: a word's vector is the sum of its pieces' embeddings in the
packaged tagger, minus their mean. It ignores context, so it is a hint for people and no proof.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kae.encoders.codebook.codebook import Codebook, CodebookWord
from kae.encoders.tagger.pieces import PieceTokenizer
from kae.encoders.tagger.weights import PACKAGED, load_weights
from kae.encoders.text.spelling import spelling_key
from kae.encoders.vocabulary.misspelling import is_misspelling


class SpellingNeighbours:
    """An index of a codebook's words with a slot, by spelling."""

    def __init__(self, codebook: Codebook) -> None:
        by_spelling: defaultdict[str, list[CodebookWord]] = defaultdict(list)
        by_start: defaultdict[str, list[CodebookWord]] = defaultdict(list)
        for word in codebook.words:
            if word.index:
                by_spelling[spelling_key(word.word)].append(word)
                # A misspelling keeps the first letter.
                by_start[word.word[0]].append(word)
        self._by_spelling = dict(by_spelling)
        self._by_start = dict(by_start)

    def spelled_alike(self, form: str) -> list[CodebookWord]:
        """Return the words with the spelling key of a normalised form."""
        return self._by_spelling.get(spelling_key(form), [])

    def near(self, form: str) -> Iterator[CodebookWord]:
        """Yield the words that are one edit away from a normalised form."""
        for word in self._by_start.get(form[0], ()):
            if abs(len(word.word) - len(form)) <= 1 and is_misspelling(word.word, form):
                yield word


# The least cosine of a neighbour, and the most neighbours of a word.
MIN_COSINE = 0.75
MAX_NEIGHBOURS = 3


class MeaningNeighbours:
    """The vectors of a codebook's words with a slot, made on first use."""

    def __init__(self, codebook: Codebook, tagger: Path = PACKAGED) -> None:
        self._words = [word for word in codebook.words if word.index]
        self._tagger = tagger

    def like(self, form: str) -> list[tuple[CodebookWord, float]]:
        """Return the words nearest in meaning to a normalised form, with their cosines.

        Words that begin with the form, contain all of its tokens, or the reverse, are left out:
        their vectors are similar for that reason alone. Raises: TaggerInvalid.
        """
        pieces, words = self._vectors
        cosines = words @ pieces.of([form])[0]
        own = set(form.split())
        found: dict[str, tuple[CodebookWord, float]] = {}
        for number in np.argsort(-cosines, kind="stable"):
            cosine = float(cosines[number])
            if cosine < MIN_COSINE or len(found) == MAX_NEIGHBOURS:
                break
            word = self._words[number]
            theirs = set(word.word.split())
            begins = word.word.startswith(form) or form.startswith(word.word)
            if not (begins or own <= theirs or theirs <= own):
                found.setdefault(word.word, (word, round(cosine, 3)))
        return list(found.values())

    @cached_property
    def _vectors(self) -> tuple["_PieceVectors", NDArray[np.float32]]:
        pieces = _PieceVectors(self._tagger)
        return pieces, pieces.of([word.word for word in self._words])


class _PieceVectors:
    def __init__(self, tagger: Path) -> None:
        weights = load_weights(tagger)
        self._pieces = PieceTokenizer(weights.pieces)
        # 8-bit integers, with a scale for each piece.
        self._whole = weights.tensors["pieces.weight"]
        self._scales = weights.tensors["pieces.scale"].astype(np.float32)
        self._mean = (self._scales @ self._whole.astype(np.float32)) / len(self._scales)

    def of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a unit vector for each text, shape (n, dimensions); zeros if no piece is known."""
        rows = np.zeros((len(texts), len(self._mean)), np.float32)
        for number, text in enumerate(texts):
            read = self._pieces.tokenize(text).pieces[1:-1]  # without the marks around it
            pieces = [piece for piece in read if piece != self._pieces.unknown]
            if pieces:
                vectors = self._whole[pieces].astype(np.float32) * self._scales[pieces, None]
                rows[number] = (vectors - self._mean).sum(0)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.where(lengths, lengths, 1)
        return rows
