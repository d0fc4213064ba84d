"""How well a codebook tells the items of a catalog apart, beside closed codebooks of its size."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.groups.information import Quality, measure
from kae.encoders.groups.occurrences import batches
from kae.encoders.items import Item
from kae.encoders.text.normal_form import normalise

if TYPE_CHECKING:
    from kae.encoders.fitting.closed_codebooks import Vectors


OnProgress = Callable[[str, int, int], None]  # what is being done, how far it is, of how many
Codes = NDArray[np.int32]


class Evaluated(Quality, frozen=True, kw_only=True):
    """What `kae codebook evaluate --json` prints: the measures of the codebook, and of others."""

    folder: str
    fingerprint: str
    items: int
    rejected: int
    seed: int
    seconds: float
    baselines: dict[str, Quality]


def encode(codebook: Codebook, items: Iterable[Item]) -> tuple[Codes, list[str]]:
    """The identifier of every item, a row each, and their titles in normal form."""
    encoder = Encoder(codebook)
    identifiers: list[tuple[int, ...]] = []
    titles: list[str] = []
    for batch in batches(items):
        identifiers += (encoded.identifier for encoded in encoder.encode_all(batch))
        titles += (normalise(item.title) for item in batch)
    return np.array(identifiers, dtype=np.int32).reshape(-1, len(codebook.groups)), titles


def quality_of(codebook: Codebook, codes: Codes) -> Quality:
    """The measures of a codebook; reserved slots count as capacity."""
    return measure(codes, [group.capacity for group in codebook.groups])


def baselines(
    titles: Sequence[str],
    capacities: Sequence[int],
    seed: int,
    told: OnProgress,
    left_out: Callable[[str], None],
) -> dict[str, Quality]:
    """Train closed codebooks of the same capacities on the titles, and measure them.

    `left_out` is told, in a line, of what cannot be trained here for want of a package.
    """
    measured: dict[str, Quality] = {}
    vectors: Vectors | None = None
    for name, extra, train in (("rq_kmeans", "fit", _rq_kmeans), ("rq_vae", "neural", _rq_vae)):
        try:
            vectors = _embed(titles, seed) if vectors is None else vectors
            codes = train(vectors, capacities, seed, told)
        except ModuleNotFoundError as error:
            left_out(
                f"no {name}: it needs the module {error.name}, which is not installed; "
                f"pip install 'kae[{extra}]'"
            )
        else:
            measured[name] = measure(codes, capacities, has_empty=False)
    return measured


def _embed(titles: Sequence[str], seed: int) -> "Vectors":
    from kae.encoders.fitting.closed_codebooks import embed

    return embed(titles, seed)


def _rq_kmeans(vectors: "Vectors", capacities: Sequence[int], seed: int, told: OnProgress) -> Codes:
    from kae.encoders.fitting.closed_codebooks import residual_kmeans

    steps = len(capacities)
    told("rq_kmeans", 0, steps)
    return residual_kmeans(vectors, capacities, seed, lambda done: told("rq_kmeans", done, steps))


def _rq_vae(vectors: "Vectors", capacities: Sequence[int], seed: int, told: OnProgress) -> Codes:
    from kae.encoders.fitting.rq_vae import EPOCHS, rq_vae

    told("rq_vae", 0, EPOCHS)
    return rq_vae(vectors, capacities, seed, lambda done: told("rq_vae", done, EPOCHS))
