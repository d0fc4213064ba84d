"""A whole index on Apache Kafka with the bench's items, and how fast it was filled."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kae.bench.deltas import DeltaLogs
from kae.bench.feed import fill
from kae.bench.live import QUIET_SECONDS, STUCK_SECONDS, BenchFailed
from kae.deploy.brokers import ApacheKafka
from kae.deploy.cluster import Cluster
from kae.deploy.demo_context import CountingReplica
from kae.streams.cli import terminal
from kae.streams.kafka.log import KafkaClients
from kae.streams.topology.types import Topology

# Slots of released terms come back soon enough for a run with more terms than a position has slots.
CHANGES: dict[str, object] = {"topics.prefix": "bench", "terms.quarantine_seconds": 1.0}


@dataclass(frozen=True, slots=True)
class FilledIndex:
    """The running cluster of a filled index.

    `events_per_second` is its full rate, with an unthrottled producer and a following replica on
    the same machine.
    """

    cluster: Cluster
    replica: CountingReplica
    items: int
    events_per_second: float


@contextmanager
def filled_index(
    items: int, workers: int, changes: Mapping[str, object] | None = None
) -> Iterator[FilledIndex]:
    """Start broker, workers and a replica, and stream the items in.

    Raises: BenchFailed when they do not arrive; ProcessFailed; BrokerUnavailable.
    """
    with tempfile.TemporaryDirectory(prefix="kae-bench-") as folder:
        root = Path(folder)
        terminal.err.print("starting Apache Kafka", highlight=False)
        with ApacheKafka(root / "kafka") as broker:
            shards = Topology.load().shards
            cluster = Cluster(
                root / "line",
                broker,
                shards=shards,
                workers=0,
                changes={**CHANGES, **(changes or {})},
            )
            with cluster:
                for number in range(workers):
                    cluster.start_worker(f"worker-{number}", wait=False)
                cluster.wait_ready()
                rate = stream_in(cluster, items)
                yield FilledIndex(cluster, CountingReplica(cluster.replica.url), items, rate)


def stream_in(cluster: Cluster, items: int) -> float:
    """Publish the items and wait until a replica shows them; events a second of the workers.

    Raises: BenchFailed when they do not arrive.
    """
    terminal.err.print(f"streaming {items:,} items in", highlight=False)
    fill(cluster.topology, items)
    rate = _drain(cluster, items)
    with closing(CountingReplica(cluster.replica.url)) as replica:
        _wait_shown(replica, items)
    terminal.err.print(f"full rate {rate:,.0f} events/s", highlight=False)
    return rate


def _drain(cluster: Cluster, items: int) -> float:
    """Events a second from the first batch to the last, as a reader of the delta logs sees them."""
    bootstrap = cluster.topology.kafka.bootstrap
    clients = KafkaClients(bootstrap, "bench", timeout_seconds=30, max_bytes=1 << 20)
    logs = DeltaLogs(clients, cluster)
    deadline = time.monotonic() + STUCK_SECONDS
    while logs.put < items:
        if time.monotonic() > deadline:
            raise BenchFailed(f"the logs hold {logs.put:,} of {items:,} items")
        logs.wait_quiet(QUIET_SECONDS, deadline)
        logs.read()
    rate = logs.rate()
    logs.close()
    clients.close()
    return rate


def _wait_shown(replica: CountingReplica, items: int) -> None:
    deadline = time.monotonic() + STUCK_SECONDS
    while (shown := replica.status().items) < items:
        if time.monotonic() > deadline:
            raise BenchFailed(f"the replica shows {shown:,} of {items:,} items")
        time.sleep(0.2)
