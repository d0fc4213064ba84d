"""Which words of a codebook a new word could be taken for.

"toner cartridges"   is spelled like "toner cartridge": the codebook has it
"cartrigde"          is one letter away from "cartridge"

Which words of a codebook may mean much the same as a new word.

A word's vector is the sum of those that the packaged tagger has for its pieces, seen from their
mean: what pieces meant in the texts of its training, without a context. That "earphones" lies near
"ear headphones" is a hint to be looked at, and no proof of anything.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kae.encoders.codebook.codebook import Codebook, CodebookWord
from kae.encoders.tagger.pieces import Pieces
from kae.encoders.tagger.weights import PACKAGED, load_weights
from kae.encoders.text.spelling import one_spelling
from kae.encoders.vocabulary.misspelling import is_slip


class Likeness:
    """The words of one codebook that have a slot, to compare others with."""

    def __init__(self, codebook: Codebook) -> None:
        by_spelling: defaultdict[str, list[CodebookWord]] = defaultdict(list)
        by_start: defaultdict[str, list[CodebookWord]] = defaultdict(list)
        for word in codebook.words:
            if word.index:
                by_spelling[one_spelling(word.word)].append(word)
                # A slip keeps the first letter.
                by_start[word.word[0]].append(word)
        self._by_spelling = dict(by_spelling)
        self._by_start = dict(by_start)

    def spelled_alike(self, form: str) -> list[CodebookWord]:
        """The words that are another spelling of a normalised form, or the form itself."""
        return self._by_spelling.get(one_spelling(form), [])

    def near(self, form: str) -> Iterator[CodebookWord]:
        """The words that are one letter away from a normalised form."""
        for word in self._by_start.get(form[0], ()):
            if abs(len(word.word) - len(form)) <= 1 and is_slip(word.word, form):
                yield word


# The cosine from which on two words are told, and how many of them at most.
ALIKE = 0.75
MOST = 3


class Meanings:
    """The words of one codebook that have a slot; the first question makes their vectors."""

    def __init__(self, codebook: Codebook, tagger: Path = PACKAGED) -> None:
        self._words = [word for word in codebook.words if word.index]
        self._tagger = tagger

    def like(self, form: str) -> list[tuple[CodebookWord, float]]:
        """The words nearest to a normalised form with their cosines, the nearest first.

        Without those of which one begins with the other or says all that the other says, and more:
        their vectors are alike for that alone. Raises: TaggerInvalid.
        """
        pieces, words = self._vectors
        cosines = words @ pieces.of([form])[0]
        own = set(form.split())
        found: dict[str, tuple[CodebookWord, float]] = {}
        for number in np.argsort(-cosines, kind="stable"):
            cosine = float(cosines[number])
            if cosine < ALIKE or len(found) == MOST:
                break
            word = self._words[number]
            said = set(word.word.split())
            begins = word.word.startswith(form) or form.startswith(word.word)
            if not (begins or own <= said or said <= own):
                found.setdefault(word.word, (word, round(cosine, 3)))
        return list(found.values())

    @cached_property
    def _vectors(self) -> tuple["_PieceVectors", NDArray[np.float32]]:
        pieces = _PieceVectors(self._tagger)
        return pieces, pieces.of([word.word for word in self._words])


class _PieceVectors:
    def __init__(self, tagger: Path) -> None:
        weights = load_weights(tagger)
        self._pieces = Pieces(weights.pieces)
        # In 8 bits, with a scale for each piece.
        self._whole = weights.tensors["pieces.weight"]
        self._scales = weights.tensors["pieces.scale"].astype(np.float32)
        self._mean = (self._scales @ self._whole.astype(np.float32)) / len(self._scales)

    def of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """A row of length one a text, shape (n, dimensions); zeros where nothing is known."""
        rows = np.zeros((len(texts), len(self._mean)), np.float32)
        for number, text in enumerate(texts):
            read = self._pieces.read(text).pieces[1:-1]  # without the marks around it
            pieces = [piece for piece in read if piece != self._pieces.unknown]
            if pieces:
                vectors = self._whole[pieces].astype(np.float32) * self._scales[pieces, None]
                rows[number] = (vectors - self._mean).sum(0)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.where(lengths, lengths, 1)
        return rows
