"""The whole live path, compared with an empty Faust agent: same topic, payload and processes."""

import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import msgspec

from kae.bench import bare_faust
from kae.bench.deltas import DeltaLogs, refolded_hash
from kae.bench.feed import bench_items, fill
from kae.bench.report import Live
from kae.deploy.brokers import ApacheKafka
from kae.deploy.cluster import Cluster
from kae.deploy.processes import Process
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.sinks.store.state import content_hash
from kae.streams.cli import terminal
from kae.streams.errors import KaeError
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.partitioner import partition_of
from kae.streams.topology.types import Topology

STUCK_SECONDS = 300.0
QUIET_SECONDS = 1.5


class Seen(msgspec.Struct, frozen=True):
    """What a bare agent printed: events so far, and up to its first and its last full batch."""

    events: int = 0
    full: int = 0
    first_batch: int = 0
    first: float = 0.0
    last: float = 0.0


class BenchFailed(KaeError):
    """A figure that would not count."""


def measure_live(items: int, workers: int, repeats: int) -> Live:
    """Bare agent and worker in turn, each draining the same topic, which is full before.

    Raises: BenchFailed when a hash differs from the oracle's; BrokerUnavailable.
    """
    with tempfile.TemporaryDirectory(prefix="kae-bench-") as folder:
        root = Path(folder)
        terminal.err.print("starting Apache Kafka", highlight=False)
        with ApacheKafka(root / "kafka") as broker:
            expected = _expected_hashes(items, Topology.load())
            bare, whole = [], []
            for number in range(repeats):
                cluster = Cluster(
                    root / f"run-{number}",
                    broker,
                    shards=Topology.load().shards,
                    workers=0,
                    replicas=0,
                    changes={"topics.prefix": f"bench{number}"},
                )
                with cluster:
                    fill(cluster.topology, items)
                    # Taking turns at going first, so that neither always finds the warmer broker.
                    if number % 2:
                        whole.append(_drain_whole(cluster, items, workers, expected))
                        bare.append(_drain_bare(cluster, items, workers))
                    else:
                        bare.append(_drain_bare(cluster, items, workers))
                        whole.append(_drain_whole(cluster, items, workers, expected))
                terminal.err.print(
                    f"run {number + 1}: bare {bare[-1]:,.0f}/s, whole {whole[-1]:,.0f}/s",
                    highlight=False,
                )
    return Live(items, workers, Topology.load().worker.batch_events, bare, whole)


def _drain_bare(cluster: Cluster, items: int, workers: int) -> float:
    """Events a second from the end of the first batch to that of the last full one."""
    topology = cluster.topology
    script, group = str(Path(bare_faust.__file__)), f"bare-{uuid4()}"
    argv = [sys.executable, script, topology.kafka.bootstrap, topology.items_topic, group]
    agents = [
        Process(
            f"bare-{number}",
            [*argv, str(topology.worker.batch_events)],
            cluster.folder / f"bare-{number}.log",
            cwd=cluster.folder,
        )
        for number in range(workers)
    ]
    with ExitStack() as running:
        for agent in agents:
            agent.start()
            running.callback(agent.kill)
        told = _wait_drained(agents, items)
    busy = [seen for seen in told if seen.full]
    first = min(busy, key=lambda seen: seen.first, default=Seen())
    seconds = max((seen.last for seen in busy), default=0.0) - first.first
    if not seconds:
        raise BenchFailed(f"{items:,} items are too few full batches to time; raise --items")
    return (sum(seen.full for seen in busy) - first.first_batch) / seconds


def _wait_drained(agents: list[Process], items: int) -> list[Seen]:
    deadline = time.monotonic() + STUCK_SECONDS
    while True:
        told = [_told(agent) for agent in agents]
        if sum(seen.events for seen in told) >= items:
            return told
        for agent in agents:
            agent.check()
        if time.monotonic() > deadline:
            raise BenchFailed(f"the bare agents stand at {told}; {agents[0].last_words()}")
        time.sleep(0.2)


def _told(agent: Process) -> Seen:
    whole_lines, _, _ = agent.output().rpartition("\n")
    lines = [line for line in whole_lines.splitlines() if line.startswith('{"events"')]
    return msgspec.json.decode(lines[-1], type=Seen) if lines else Seen()


def _drain_whole(cluster: Cluster, items: int, workers: int, expected: dict[int, str]) -> float:
    """Events a second, as a reader of the delta logs sees them."""
    for number in range(workers):
        cluster.start_worker(f"worker-{number}", wait=False)
    bootstrap = cluster.topology.kafka.bootstrap
    clients = KafkaClients(bootstrap, "bench", timeout_seconds=30, max_bytes=1 << 20)
    logs = DeltaLogs(clients, cluster)
    deadline = time.monotonic() + STUCK_SECONDS
    while logs.put < items:
        if time.monotonic() > deadline:
            raise BenchFailed(f"the logs hold {logs.put:,} of {items:,} items")
        logs.wait_quiet(QUIET_SECONDS, deadline)
        logs.read()
    for worker in cluster.workers.values():
        worker.terminate()
    logs.close()
    clients.close()
    for shard, content in expected.items():
        found = refolded_hash(cluster.folder / f"refold-{shard}", logs.records[shard])
        if found != content:
            raise BenchFailed(f"shard {shard}: content {found}, expected {content}")
    return logs.rate()


def _expected_hashes(items: int, topology: Topology) -> dict[int, str]:
    """What the encoder alone says of every shard."""
    encoder = Encoder(Codebook.load(topology.codebook_folder))
    rows: dict[int, list[tuple[str, int, tuple[int, ...], list[str]]]] = defaultdict(list)
    for item in bench_items(items):
        shard = partition_of(item.id, topology.shards)
        rows[shard].append((item.id, 1, encoder.encode(item).identifier, []))
    return {
        shard: content_hash(sorted(found, key=lambda row: row[0].encode()))
        for shard, found in rows.items()
    }
