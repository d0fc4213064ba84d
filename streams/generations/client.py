"""The desk of generations: where a command reads the book and writes one record into it."""

from collections.abc import Iterator
from contextlib import contextmanager

from kae.streams.clock import now_ms
from kae.streams.codebooks.opening import open_codebook
from kae.streams.control import records
from kae.streams.control.client import read_generations, signature
from kae.streams.control.records import GenerationRecord
from kae.streams.control.state import GenerationState
from kae.streams.errors import GenerationRefused
from kae.streams.generations.answers import GenerationAnnounced
from kae.streams.generations.opening import announcement
from kae.streams.kafka.connection import reached_brokers
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.reader import check_logs
from kae.streams.kafka.topics import check_topics
from kae.streams.topology.types import Topology


class GenerationsClient:
    """The control topic as one command sees it."""

    def __init__(self, topology: Topology, clients: KafkaClients) -> None:
        """Raises: KafkaUnreachable."""
        self.topology = topology
        self.clients = clients
        self.book: GenerationState = read_generations(topology, clients)

    def write(self, record: GenerationRecord) -> int:
        """Append a record and read on beyond it; returns its offset.

        Raises: AppendUnknown, KafkaUnreachable.
        """
        log = self.clients.log(self.topology.control_topic, 0)
        (offset,) = log.append([records.encode(record)]).offsets()
        self.book = read_generations(self.topology, self.clients)
        return offset

    def refuse_unannounced(self, *generations: int) -> None:
        """Raises: GenerationRefused."""
        for generation in generations:
            if generation in self.book.dropped:
                raise GenerationRefused(
                    f"generation {generation} was dropped, and its number is not used again"
                )
            if generation not in self.book.announced:
                raise GenerationRefused(
                    f"generation {generation} was never announced, so a replica that starts later "
                    "could not follow it; announce it: kae generation announce --topology "
                    "FILE-OF-THAT-GENERATION"
                )


@contextmanager
def open_generations_client(topology: Topology) -> Iterator[GenerationsClient]:
    """A desk that has read the book.

    Raises: KafkaUnreachable.
    """
    clients = KafkaClients.of(
        topology,
        "generation",
        timeout_seconds=topology.kafka.delivery_timeout_seconds,
        max_bytes=topology.limits.delta_bytes,
    )
    try:
        with reached_brokers(topology):
            yield GenerationsClient(topology, clients)
    finally:
        clients.close()


def announce(desk: GenerationsClient) -> GenerationAnnounced:
    """Tell the replicas of the topology's generation; again, where its codebook lies now.

    Raises: GenerationRefused; TopicDiffers, CodebookDiffers, CodebookInvalid, AppendUnknown.
    """
    topology = desk.topology
    generation, codebook = topology.generation, open_codebook(topology)
    known = desk.book.announced.get(generation)
    if generation in desk.book.dropped:
        raise GenerationRefused(
            f"generation {generation} was dropped, and its number is not used again; raise "
            f"generation in {topology.path}"
        )
    if known is not None and known.fingerprint != codebook.fingerprint:
        raise GenerationRefused(
            f"generation {generation} was announced with codebook {known.fingerprint}, "
            f"{topology.codebook_folder} is {codebook.fingerprint}; raise generation in "
            f"{topology.path}: another codebook is another generation"
        )
    check_topics(topology)
    check_logs(topology, codebook)
    record = announcement(topology, codebook, signature(), now_ms())
    offset = desk.write(record)
    path = topology.codebook.path if "package:" in topology.codebook.path else ""
    return GenerationAnnounced(
        generation,
        codebook.fingerprint,
        path or str(topology.codebook_folder.resolve()),
        offset,
    )
