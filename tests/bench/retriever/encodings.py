"""The encodings that are compared: kae's words, and three that are learned from vectors of titles.

    kae         a word of the catalog at each position; a word can be bound later
    rq-kmeans   residual k-means of the titles' vectors
    rq-vae      codes learned together with an autoencoder of the vectors
    rq-opq      residual k-means at four positions, an optimised product quantiser at two

All have the same capacity at each position, kae's empty and reserved slots included, so a model of
any of them has the same shape. The vectors are those of MiniLM, the same for all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kae.encoders.catalog_reader import batch_items
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.fitting.closed_codebooks import ResidualQuantizer, Vectors
from kae.encoders.items import Item

KAE = "kae"


class VectorQuantizer(Protocol):
    """A closed codebook: it has codes for any vector, of an item or of a query."""

    def codes(self, vectors: Vectors) -> NDArray[np.int32]: ...


RQ_KMEANS, RQ_VAE, RQ_OPQ = CLOSED = "rq-kmeans", "rq-vae", "rq-opq"
ENCODINGS = (KAE, *CLOSED)


def closed_quantizer(
    name: str, vectors: Vectors, capacities: Sequence[int], seed: int
) -> VectorQuantizer:
    """Fit a closed codebook."""
    if name == RQ_VAE:
        from kae.encoders.fitting.rq_vae import fit_rq_vae  # needs torch

        return fit_rq_vae(vectors, capacities, seed)
    levels = ResidualQuantizer.fit(vectors, capacities, seed)
    return levels.with_product(vectors, capacities, seed) if name == RQ_OPQ else levels


@dataclass(frozen=True, slots=True)
class Encoding:
    """The identifier of each item: codes (items, 6), one below the capacity of its position."""

    name: str
    codes: NDArray[np.int32]
    capacities: tuple[int, ...]

    @property
    def has_words(self) -> bool:
        """Whether a code is a word: 0 is then the empty slot, and others are reserved."""
        return self.name == KAE


def encode_by_words(codebook: Codebook, items: Sequence[Item]) -> Encoding:
    encoder = Encoder(codebook)
    rows = [
        encoded.identifier for batch in batch_items(items) for encoded in encoder.encode_all(batch)
    ]
    return Encoding(KAE, np.array(rows, np.int32), capacities_of(codebook))


def capacities_of(codebook: Codebook) -> tuple[int, ...]:
    return tuple(group.capacity for group in codebook.groups)
