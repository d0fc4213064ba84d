"""The parts of one followed generation, put together."""

from collections.abc import Callable
from pathlib import Path

from kae.encoders.codebook import Codebook
from kae.streams.bootstrap import reached_brokers
from kae.streams.kafka_log import KafkaClients
from kae.streams.replica.follower import Follower
from kae.streams.replica.freshness import FreshnessGauge
from kae.streams.replica.index import ReplicaIndex
from kae.streams.replica.leases import Leases
from kae.streams.replica.line import Line
from kae.streams.replica.preview import Previews
from kae.streams.replica.search import Search
from kae.streams.replica.unknown import UnknownWords
from kae.streams.replica.view import View
from kae.streams.replica.waiting import ViewBell
from kae.streams.snapshots.in_log import snapshots_in_log
from kae.streams.topology import Topology

DRAIN_SECONDS = 2


class Parts:
    """The index of each shard's newest snapshot, and the follower that keeps it on the logs."""

    def __init__(
        self,
        topology: Topology,
        codebook: Codebook,
        data: Path,
        name: str,
        bell: ViewBell,
        *,
        serves: Callable[[], bool],
        on_view: Callable[[View, bool], None],
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        """`data` is scratch; the callables are the follower's, called from its thread.

        Raises: StoreUnusable, DiskFull, KafkaUnreachable.
        """
        self.clients = KafkaClients.of(
            topology,
            name,
            timeout_seconds=topology.kafka.delivery_timeout_seconds,
            max_bytes=topology.limits.delta_bytes,
        )
        leases = Leases(topology.generation, topology.replica.lease_seconds)
        gauge = FreshnessGauge(topology.replica.fresh_within_seconds)
        with reached_brokers(topology):
            index = ReplicaIndex(
                topology,
                codebook.fingerprint,
                data / "replica",
                lambda shard: snapshots_in_log(topology, self.clients, shard, codebook.fingerprint),
            )
        search = Search(codebook, topology.replica.beam)
        previews = Previews(codebook, topology, search)
        unknown = UnknownWords(topology.replica.unknown_requests)
        self.line = Line(
            topology.generation, codebook, index, leases, gauge, search, previews, unknown
        )
        self.follower = Follower(
            topology, name, self.clients, index, leases, gauge, bell, serves, on_view, on_end
        )

    def close(self, within_seconds: float = DRAIN_SECONDS) -> bool:
        """Stop the follower and close the stores; whether it ended in time.

        Stores are closed only under nobody's hands; they are scratch and need no goodbye.
        """
        if not self.follower.stop(within_seconds):
            return False
        self.clients.close()
        self.line.index.close()
        return True

    def let_go(self, within_seconds: float = DRAIN_SECONDS) -> None:
        """Stop the follower; who still has a view of it may finish with it."""
        if self.follower.stop(within_seconds):
            self.clients.close()
            self.line.index.retire()
