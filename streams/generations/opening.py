"""Announce a generation's part of topology.yaml, and open it with another process's own part.

A generation's topology, codebook and logs are checked before anything is claimed or followed.
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

# Every other section is the replica's own: brokers, intervals, limits, address.
SECTIONS = ("generation", "shards", "codebook", "catalog", "groups")


def announcement(topology: Topology, codebook: Codebook, by: str, at_ms: int) -> Announced:
    """The record that announces a topology's generation to replicas."""
    data: dict[str, Any] = topology.model_dump(mode="json", include=set(SECTIONS))
    if not topology.codebook.path.startswith(PACKAGE):
        data["codebook"]["path"] = str(topology.codebook_folder.resolve())
    return Announced(
        topology.generation, codebook.fingerprint, msgspec.json.encode(data), by, at_ms
    )


def generation_topology(own: Topology, state: GenerationState, generation: int) -> Topology:
    """A generation's topology, completed with the sections of this process.

    Raises: TopologyInvalid; GenerationUnusable when it was never announced.
    """
    announced = state.announced.get(generation)
    if generation == own.generation:
        return own
    if announced is None:
        raise GenerationUnusable(
            f"generation {generation} was never announced on {own.control_topic}; announce it: "
            "kae generation announce --topology FILE-OF-THAT-GENERATION"
        )
    return own.edited(msgspec.json.decode(announced.topology))


def generation_codebook(topology: Topology, state: GenerationState) -> Codebook:
    """The codebook of a generation, read from where its announcement says.

    Raises: CodebookInvalid, CodebookDiffers; GenerationUnusable when another codebook is there.
    """
    codebook = open_codebook(topology)
    announced = state.announced.get(topology.generation)
    if announced is not None and announced.fingerprint != codebook.fingerprint:
        raise GenerationUnusable(
            f"generation {topology.generation} was announced with codebook "
            f"{announced.fingerprint}, {topology.codebook_folder} holds {codebook.fingerprint}; "
            "put the announced codebook there, or announce the generation from its new folder"
        )
    return codebook


@dataclass(frozen=True, slots=True)
class OpenedGeneration:
    """A generation that can be followed."""

    topology: Topology
    codebook: Codebook


@dataclass(frozen=True, slots=True)
class ReplicaStart:
    """The generations at a replica's start, and the one that serves."""

    state: GenerationState
    first: OpenedGeneration


def open_generation(own: Topology, state: GenerationState, generation: int) -> OpenedGeneration:
    """Raises: GenerationUnusable, CodebookInvalid, CodebookDiffers, TopicDiffers, LogCorrupt,
    TopologyInvalid, KafkaUnreachable."""
    topology = generation_topology(own, state, generation)
    codebook = generation_codebook(topology, state)
    check_topics(topology)
    check_logs(topology, codebook)
    return OpenedGeneration(topology, codebook)


def open_serving(own: Topology) -> ReplicaStart:
    """Open the generation that serves; the own codebook is checked before any broker is asked.

    Raises: as `open_generation`.
    """
    open_codebook(own)
    with KafkaClients.for_reading(own, "opening") as clients, reached_brokers(own):
        state = read_generations(own, clients)
    return ReplicaStart(state, open_generation(own, state, state.serving))
