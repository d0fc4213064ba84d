"""How well a codebook distinguishes a catalog's items, compared with closed codebooks."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kae.encoders.catalog_reader import batch_items
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.groups.information import IdentifierQuality, measure_identifiers
from kae.encoders.items import Item
from kae.streams.errors import NotInstalled

if TYPE_CHECKING:
    from kae.encoders.fitting.closed_codebooks import Vectors


# Only compared with, so the wheel leaves it out.
_RQ_VAE = "kae.encoders.fitting.rq_vae"
OnProgress = Callable[[str, int, int], None]  # name of the work, steps done, all steps
Codes = NDArray[np.int32]


class CodebookEvaluated(IdentifierQuality, frozen=True, kw_only=True):
    """What `kae codebook evaluate --json` prints: the codebook's measures, and the baselines'."""

    folder: str
    fingerprint: str
    items: int
    rejected: int
    seed: int
    seconds: float
    baselines: dict[str, IdentifierQuality]


def encode_catalog(codebook: Codebook, items: Iterable[Item]) -> tuple[Codes, list[str]]:
    """Return the identifier of every item, one per row, and the normalised titles."""
    encoder = Encoder(codebook)
    identifiers: list[tuple[int, ...]] = []
    titles: list[str] = []
    for batch in batch_items(items):
        identifiers += (encoded.identifier for encoded in encoder.encode_all(batch))
        titles += (codebook.form.normalise(item.title) for item in batch)
    return np.array(identifiers, dtype=np.int32).reshape(-1, len(codebook.groups)), titles


def quality_of(codebook: Codebook, codes: Codes) -> IdentifierQuality:
    """Measure a codebook by its identifiers; reserved slots count as capacity."""
    return measure_identifiers(codes, [group.capacity for group in codebook.groups])


def train_baselines(
    titles: Sequence[str],
    capacities: Sequence[int],
    seed: int,
    on_progress: OnProgress,
    on_skipped: Callable[[str], None],
) -> dict[str, IdentifierQuality]:
    """Train closed codebooks of the same capacities on the titles, and measure them.

    `on_skipped` is called with one line for each baseline that cannot be trained here.
    """
    measured: dict[str, IdentifierQuality] = {}
    vectors: Vectors | None = None
    for name, extra, train in (("rq_kmeans", "fit", _rq_kmeans), ("rq_vae", "neural", _rq_vae)):
        try:
            vectors = _embed(titles, seed) if vectors is None else vectors
            codes = train(vectors, capacities, seed, on_progress)
        except NotInstalled as error:
            on_skipped(str(error))
        except ModuleNotFoundError as error:
            on_skipped(
                f"no {name}: it needs the module {error.name}, which is not installed; "
                f"pip install 'kae[{extra}]'"
            )
        else:
            measured[name] = measure_identifiers(codes, capacities, has_empty=False)
    return measured


def _embed(titles: Sequence[str], seed: int) -> "Vectors":
    from kae.encoders.fitting.closed_codebooks import embed

    return embed(titles, seed)


def _rq_kmeans(
    vectors: "Vectors", capacities: Sequence[int], seed: int, on_progress: OnProgress
) -> Codes:
    from kae.encoders.fitting.closed_codebooks import residual_kmeans

    steps = len(capacities)
    on_progress("rq_kmeans", 0, steps)
    return residual_kmeans(
        vectors, capacities, seed, lambda done: on_progress("rq_kmeans", done, steps)
    )


def _rq_vae(
    vectors: "Vectors", capacities: Sequence[int], seed: int, on_progress: OnProgress
) -> Codes:
    try:
        from kae.encoders.fitting.rq_vae import EPOCHS, rq_vae
    except ModuleNotFoundError as error:
        if error.name != _RQ_VAE:
            raise
        raise NotInstalled(
            "no rq_vae: the installed package does not contain it; run the command in a clone of "
            "the repository, with the extra `neural`"
        ) from error
    on_progress("rq_vae", 0, EPOCHS)
    return rq_vae(vectors, capacities, seed, lambda done: on_progress("rq_vae", done, EPOCHS))
