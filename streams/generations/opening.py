"""What makes a generation, taken out of one topology and put into another's.

Opening a generation: topology and codebook, checked before anything is claimed or followed.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from kae.encoders.codebook.codebook import Codebook
from kae.streams.codebooks.opening import open_codebook
from kae.streams.control.client import read_generations
from kae.streams.control.records import Announced
from kae.streams.control.state import GenerationState
from kae.streams.errors import GenerationUnusable
from kae.streams.kafka.connection import reached_brokers
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.reader import check_logs
from kae.streams.kafka.topics import check_topics
from kae.streams.topology.types import PACKAGE, Topology

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


def topology_of(own: Topology, book: GenerationState, generation: int) -> Topology:
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


def codebook_of(topology: Topology, book: GenerationState) -> Codebook:
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


@dataclass(frozen=True, slots=True)
class Opened:
    """A generation that can be followed."""

    topology: Topology
    codebook: Codebook


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a replica begins with: the book, and the generation that serves by it."""

    book: GenerationState
    first: Opened


def open_generation(own: Topology, book: GenerationState, generation: int) -> Opened:
    """Raises: GenerationUnusable, CodebookInvalid, CodebookDiffers, TopicDiffers, LogCorrupt,
    TopologyInvalid, KafkaUnreachable."""
    topology = topology_of(own, book, generation)
    codebook = codebook_of(topology, book)
    check_topics(topology)
    check_logs(topology, codebook)
    return Opened(topology, codebook)


def open_serving(own: Topology) -> Beginning:
    """The own codebook is looked at before any broker is asked, whichever generation serves.

    Raises: as `open_generation`.
    """
    open_codebook(own)
    clients = KafkaClients.of(
        own,
        "opening",
        timeout_seconds=own.kafka.request_timeout_seconds,
        max_bytes=own.limits.delta_bytes,
    )
    try:
        with reached_brokers(own):
            book = read_generations(own, clients)
    finally:
        clients.close()
    return Beginning(book, open_generation(own, book, book.serving))
