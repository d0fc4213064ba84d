"""How a command uses the generations of the control topic: read their state, append one record."""

from collections.abc import Iterator
from contextlib import contextmanager

from kae.streams.clock import now_ms
from kae.streams.codebooks.opening import open_codebook
from kae.streams.control.client import read_generations, user_at_host
from kae.streams.control.records import GenerationRecord, encode_control_record
from kae.streams.control.state import GenerationState
from kae.streams.errors import GenerationRefused, TopicDiffers
from kae.streams.generations.answers import GenerationAnnounced
from kae.streams.generations.opening import announcement
from kae.streams.kafka.connection import reached_brokers
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.reader import check_logs
from kae.streams.kafka.topics import check_topics, find_topics
from kae.streams.topology.types import PACKAGE, Topology


@contextmanager
def open_generations_client(topology: Topology) -> Iterator["GenerationsClient"]:
    """A client that has read the control topic.

    Raises: KafkaUnreachable.
    """
    with KafkaClients.for_writing(topology, "generation") as clients, reached_brokers(topology):
        yield GenerationsClient(topology, clients)


def read_announced(topology: Topology) -> GenerationState:
    """What the control topic says about generations.

    Raises: KafkaUnreachable, TopicDiffers.
    """
    found, problems = find_topics(topology)
    if topology.control_topic not in found:
        raise TopicDiffers("; ".join(problems))
    with KafkaClients.for_reading(topology, "generations") as clients, reached_brokers(topology):
        return read_generations(topology, clients)


class GenerationsClient:
    """The generations as one command sees them."""

    def __init__(self, topology: Topology, clients: KafkaClients) -> None:
        """Raises: KafkaUnreachable."""
        self.topology = topology
        self.clients = clients
        self.state: GenerationState = read_generations(topology, clients)

    def append(self, record: GenerationRecord) -> int:
        """Append a record and read the state again, with it; returns the record's offset.

        Raises: AppendUnknown, KafkaUnreachable.
        """
        log = self.clients.log(self.topology.control_topic, 0)
        (offset,) = log.append([encode_control_record(record)]).offsets()
        self.state = read_generations(self.topology, self.clients)
        return offset

    def refuse_unannounced(self, *generations: int) -> None:
        """Raises: GenerationRefused."""
        for generation in generations:
            if generation in self.state.dropped:
                raise GenerationRefused(
                    f"generation {generation} was dropped, and its number is not used again"
                )
            if generation not in self.state.announced:
                raise GenerationRefused(
                    f"generation {generation} was never announced, so a replica that starts later "
                    "could not follow it; announce it: kae generation announce --topology "
                    "FILE-OF-THAT-GENERATION"
                )


def announce(client: GenerationsClient) -> GenerationAnnounced:
    """Announce the topology's generation to the replicas; once more when its codebook has moved.

    Raises: GenerationRefused; TopicDiffers, CodebookDiffers, CodebookInvalid, AppendUnknown.
    """
    topology = client.topology
    generation, codebook = topology.generation, open_codebook(topology)
    known = client.state.announced.get(generation)
    if generation in client.state.dropped:
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
    offset = client.append(announcement(topology, codebook, user_at_host(), now_ms()))
    path = topology.codebook.path
    if not path.startswith(PACKAGE):
        path = str(topology.codebook_folder.resolve())
    return GenerationAnnounced(generation, codebook.fingerprint, path, offset)
