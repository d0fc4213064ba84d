"""A replica's parts, put together: for the process that serves, and for your own program."""

from collections.abc import Callable
from pathlib import Path

from kae.encoders.codebook import Codebook
from kae.streams.bootstrap import reached_brokers
from kae.streams.kafka_log import KafkaClients
from kae.streams.meters import Meters
from kae.streams.replica.follower import Follower
from kae.streams.replica.freshness import FreshnessGauge
from kae.streams.replica.index import ReplicaIndex
from kae.streams.replica.leases import Leases
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
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        """`data` is scratch; `on_end` is the follower's, called from its thread.

        Raises: StoreUnusable, DiskFull, KafkaUnreachable.
        """
        self.name = name
        self.codebook = codebook
        self.clients = KafkaClients(
            topology.kafka.bootstrap,
            f"{topology.kafka.client_id}-{name}",
            timeout_seconds=topology.kafka.delivery_timeout_seconds,
            max_bytes=topology.limits.delta_bytes,
        )
        self.meters = Meters("replica")
        self.leases = Leases(topology.generation, topology.replica.lease_seconds)
        self.gauge = FreshnessGauge(topology.replica.fresh_within_seconds)
        self.bell = ViewBell()
        with reached_brokers(topology):
            self.index = ReplicaIndex(
                topology,
                codebook.fingerprint,
                data / "replica",
                lambda shard: snapshots_in_log(topology, self.clients, shard, codebook.fingerprint),
            )
        self.follower = Follower(
            topology,
            name,
            self.clients,
            self.index,
            self.leases,
            self.gauge,
            self.meters,
            self.bell,
            on_end,
        )

    def close(self, within_seconds: float = DRAIN_SECONDS) -> bool:
        """Stop the follower and close the stores; whether it ended in time.

        Stores are closed only under nobody's hands; they are scratch and need no goodbye.
        """
        if not self.follower.stop(within_seconds):
            return False
        self.clients.close()
        self.index.close()
        return True
