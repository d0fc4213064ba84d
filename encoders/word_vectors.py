"""Words as vectors, without a model of any language: how they are written, and beside what.

    written   hashed TF-IDF of the character n-grams, reduced
    beside    hashed TF-IDF of the frequent words that the same items have, reduced
    category  one dimension for each of the 18

Each part has length one, so a typo lies near its word, a synonym near what it is sold with, and a
word of another category far. Needs scikit-learn (extra `fit`).
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.preprocessing import normalize

from kae.encoders.categories import CATEGORIES
from kae.encoders.closed_codebooks import Vectors, reduce
from kae.encoders.codebook import Word
from kae.encoders.occurrences import Occurrences

_DIMENSIONS = 48
_NGRAMS = (1, 4)
_HASHED_NGRAMS = 1 << 16
# The words that tell contexts apart; rarer ones say little of each other.
_CONTEXTS = 4096


def word_vectors(words: Sequence[Word], seen: Occurrences, seed: int) -> Vectors:
    """A row a word."""
    category = np.zeros((len(words), len(CATEGORIES)), dtype=np.float32)
    category[np.arange(len(words)), [word.category for word in words]] = 1
    parts = (_written(words, seed), _beside(words, seen, seed), category)
    return np.ascontiguousarray(np.hstack(parts), dtype=np.float32)


def _written(words: Sequence[Word], seed: int) -> Vectors:
    hashing = HashingVectorizer(
        n_features=_HASHED_NGRAMS,
        analyzer="char_wb",
        ngram_range=_NGRAMS,
        lowercase=False,
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
    )
    return _reduced(hashing.transform(word.word for word in words), seed)


def _beside(words: Sequence[Word], seen: Occurrences, seed: int) -> Vectors:
    number = {key: place for place, key in enumerate(seen.words)}
    columns = [number[word.category, word.word] for word in words]
    items = np.bincount(seen.place, minlength=len(seen.words))
    # Of equal counts the word that was met first.
    contexts = np.argsort(-items, kind="stable")[:_CONTEXTS]
    has = csr_matrix(
        (np.ones(len(seen.place), dtype=np.float32), seen.place, seen.starts),
        shape=(seen.items, len(seen.words)),
    ).tocsc()
    return _reduced((has[:, columns].T @ has[:, contexts]).tocsr(), seed)


def _reduced(rows: csr_matrix, seed: int) -> Vectors:
    weighed = TfidfTransformer(sublinear_tf=True).fit_transform(rows)
    return np.asarray(normalize(reduce(weighed, _DIMENSIONS, seed)), dtype=np.float32)
