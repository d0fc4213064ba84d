"""The index that a model is used with: of the generation that serves, or of a catalog in memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kae.encoders.codebook.codebook import Codebook
from kae.streams.catalog.rows import read_items
from kae.streams.codebooks.opening import open_codebook
from kae.streams.errors import GenerationUnusable
from kae.streams.generations.opening import open_serving
from kae.streams.replica.embedded import Replica
from kae.streams.replica.view import View
from kae.streams.retrieval.memory_index import fold_in_memory
from kae.streams.topology.types import Topology


@dataclass(frozen=True, slots=True)
class OpenedIndex:
    """A view, with the topology and the codebook of its generation."""

    topology: Topology
    codebook: Codebook
    view: View


@contextmanager
def serving_index(topology: Topology) -> Iterator[OpenedIndex]:
    """What the logs hold now.

    Raises: as `Replica.open`; GenerationUnusable when another generation takes over meanwhile.
    """
    serving = open_serving(topology).first
    with Replica.open(topology) as replica:
        view = replica.view()
        if view.generation != serving.topology.generation:
            raise GenerationUnusable(
                f"generation {view.generation} has taken over from {serving.topology.generation} "
                "meanwhile; give the command again"
            )
        yield OpenedIndex(serving.topology, serving.codebook, view)


@contextmanager
def catalog_index(topology: Topology, files: Sequence[Path]) -> Iterator[OpenedIndex]:
    """Feed files, indexed without a broker. Raises: CatalogInvalid, CodebookDiffers."""
    codebook = open_codebook(topology)
    items = [*read_items(files, topology.catalog)]
    with fold_in_memory(items, codebook, topology) as index:
        yield OpenedIndex(topology, codebook, index.view)
