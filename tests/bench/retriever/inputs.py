"""What the bench is given: a catalog, its codebook, and judged queries in two parts."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kae.bench.judged import make
from kae.bench.judgements import JudgementsInvalid, read_judgements
from kae.bench.retriever.judged_queries import (
    JudgedQuery,
    behaviour_of,
    hold_back,
    judged_queries,
)
from kae.deploy.demo import CATALOG
from kae.encoders.catalog_reader import CatalogReader
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.streams.catalog.rows import read_items
from kae.streams.topology.types import Topology


@dataclass(frozen=True, slots=True)
class JudgedCatalog:
    """`queries_held_back` are of the judged file, also those without a clicked item."""

    items: tuple[Item, ...]
    codebook: Codebook
    is_fitted: bool  # to these items, by the bench
    topology: Topology
    train: tuple[JudgedQuery, ...]
    test: tuple[JudgedQuery, ...]
    queries_held_back: int

    @property
    def ids(self) -> list[str]:
        return [item.id for item in self.items]


def read_inputs(
    catalog: Sequence[Path] | None,
    train: Path | None,
    test: Path | None,
    topology: Topology,
    codebook: Path | None,
    seed: int,
) -> JudgedCatalog:
    """Read the files, or the demo's; without a codebook, one is fitted to the catalog.

    Raises: JudgementsInvalid, CatalogInvalid, CodebookInvalid, NotInstalled.
    """
    if (train is None) != (test is None) or (train is None) != (catalog is None):
        raise JudgementsInvalid(
            "--catalog, --train and --test go together: give all three, or none for the demo's"
        )
    items = tuple(read_items(catalog or CATALOG, topology.catalog))
    if train is None or test is None:
        learned, held = hold_back(read_judgements(make.FILE))
    else:
        learned, held = read_judgements(train), read_judgements(test)
        if both := learned.keys() & held.keys():
            raise JudgementsInvalid(
                f"{test}: {len(both)} queries are in {train} too, such as {min(both)!r}; a model "
                "is judged on queries that it has not seen: leave them out of one file"
            )
    asked, known = judged_queries(held), judged_queries(learned)
    if not asked:
        raise JudgementsInvalid(
            f"{test or make.FILE}: no query has an item rated 2.33 or more; nothing to ask"
        )
    return JudgedCatalog(
        items,
        Codebook.load(codebook) if codebook else fit_words(items, topology, seed, known),
        codebook is None,
        topology,
        tuple(known),
        tuple(asked),
        len(held),
    )


def fit_words(
    items: Sequence[Item], topology: Topology, seed: int, queries: Sequence[JudgedQuery]
) -> Codebook:
    """A codebook as `kae codebook fit` makes it, of the words of this catalog and of queries."""
    from kae.streams.codebooks.fit import VocabularySource, fit_and_measure

    reader = CatalogReader(lambda: items)
    fitted = fit_and_measure(
        reader,
        topology,
        seed,
        VocabularySource(),
        [behaviour_of(query) for query in queries],
        keep_declared=False,
        on_progress=lambda _name, _done, _steps: None,
    )
    with tempfile.TemporaryDirectory(prefix="kae-bench-") as folder:
        # What a worker would load, not what was fitted.
        fitted.codebook.save(Path(folder))
        return Codebook.load(Path(folder))
