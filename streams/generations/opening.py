"""Opening a generation: topology and codebook, checked before anything is claimed or followed."""

from dataclasses import dataclass

from kae.encoders.codebook import Codebook
from kae.streams.bootstrap import reached_brokers
from kae.streams.encoding import open_codebook
from kae.streams.generations.announced import codebook_of, topology_of
from kae.streams.generations.book import GenerationBook
from kae.streams.generations.reading import read_book
from kae.streams.kafka_log import KafkaClients
from kae.streams.log_heads import check_logs
from kae.streams.topics import check_topics
from kae.streams.topology import Topology


@dataclass(frozen=True, slots=True)
class Opened:
    """A generation that can be followed."""

    topology: Topology
    codebook: Codebook


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a replica begins with: the book, and the generation that serves by it."""

    book: GenerationBook
    first: Opened


def open_generation(own: Topology, book: GenerationBook, generation: int) -> Opened:
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
            book = read_book(own, clients)
    finally:
        clients.close()
    return Beginning(book, open_generation(own, book, book.serving))
