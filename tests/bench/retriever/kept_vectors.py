"""Vectors of many texts, kept in a folder: they take minutes."""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np

from kae.encoders.retriever.sentences import SentenceEncoder, Vectors


def kept_vectors(texts: Sequence[str], folder: Path) -> Vectors:
    """The vectors of texts, kept in a folder by a hash of the texts."""
    hashed = blake2b("\0".join(texts).encode(), digest_size=8).hexdigest()
    file = folder / f"vectors-{hashed}.npy"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".unfinished.npy")
        np.save(unfinished, SentenceEncoder().vectors(texts))
        unfinished.replace(file)
    vectors: Vectors = np.load(file)
    return vectors
