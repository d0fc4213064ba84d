"""The desk of generations: where a command reads the book and writes one record into it."""

from collections.abc import Iterator
from contextlib import contextmanager

from kae.streams import control
from kae.streams.bootstrap import reached_brokers
from kae.streams.encoding import open_codebook
from kae.streams.errors import GenerationRefused
from kae.streams.generations.announced import announcement
from kae.streams.generations.answers import GenerationAnnounced
from kae.streams.generations.book import GenerationBook
from kae.streams.generations.reading import read_book
from kae.streams.generations.records import GenerationRecord
from kae.streams.kafka_log import KafkaClients
from kae.streams.log_heads import check_logs
from kae.streams.moments import now_ms
from kae.streams.shards.desk import signature
from kae.streams.topics import check_topics
from kae.streams.topology import Topology


class GenerationsDesk:
    """The control topic as one command sees it."""

    def __init__(self, topology: Topology, clients: KafkaClients) -> None:
        """Raises: KafkaUnreachable."""
        self.topology = topology
        self.clients = clients
        self.book: GenerationBook = read_book(topology, clients)

    def write(self, record: GenerationRecord) -> int:
        """Append a record and read on beyond it; returns its offset.

        Raises: AppendUnknown, KafkaUnreachable.
        """
        log = self.clients.log(self.topology.control_topic, 0)
        (offset,) = log.append([control.encode(record)]).offsets()
        self.book = read_book(self.topology, self.clients)
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
def open_desk(topology: Topology) -> Iterator[GenerationsDesk]:
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
            yield GenerationsDesk(topology, clients)
    finally:
        clients.close()


def announce(desk: GenerationsDesk) -> GenerationAnnounced:
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
