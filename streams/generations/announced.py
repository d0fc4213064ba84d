"""What makes a generation, taken out of one topology and put into another's."""

from typing import Any

import msgspec

from kae.encoders.codebook import Codebook
from kae.streams.encoding import open_codebook
from kae.streams.errors import GenerationUnusable
from kae.streams.generations.book import GenerationBook
from kae.streams.generations.records import Announced
from kae.streams.topology import PACKAGE, Topology

# Everything else is the replica's own: brokers, paces, limits, where it listens.
SECTIONS = ("generation", "shards", "codebook", "catalog", "groups")


def announcement(topology: Topology, codebook: Codebook, by: str, at_ms: int) -> Announced:
    """The record that tells replicas of a topology's generation."""
    data: dict[str, Any] = topology.model_dump(mode="json", include=set(SECTIONS))
    if not topology.codebook.path.startswith(PACKAGE):
        data["codebook"]["path"] = str(topology.codebook_folder.resolve())
    return Announced(
        topology.generation, codebook.fingerprint, msgspec.json.encode(data), by, at_ms
    )


def topology_of(own: Topology, book: GenerationBook, generation: int) -> Topology:
    """A generation's topology as this process runs it.

    Raises: TopologyInvalid; GenerationUnusable when nobody has announced it.
    """
    announced = book.announced.get(generation)
    if generation == own.generation:
        return own
    if announced is None:
        raise GenerationUnusable(
            f"generation {generation} was never announced on {own.control_topic}; announce it: "
            "kae generation announce --topology FILE-OF-THAT-GENERATION"
        )
    return own.edited(msgspec.json.decode(announced.topology))


def codebook_of(topology: Topology, book: GenerationBook) -> Codebook:
    """The codebook of a generation, where its announcement says that it lies.

    Raises: CodebookInvalid, CodebookDiffers; GenerationUnusable when it is another by now.
    """
    codebook = open_codebook(topology)
    announced = book.announced.get(topology.generation)
    if announced is not None and announced.fingerprint != codebook.fingerprint:
        raise GenerationUnusable(
            f"generation {topology.generation} was announced with codebook "
            f"{announced.fingerprint}, {topology.codebook_folder} holds {codebook.fingerprint}; "
            "lay the announced one there, or announce the generation from where it lies"
        )
    return codebook
