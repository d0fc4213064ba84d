"""What must hold during a soak: how far the index lags, and that every item is there once."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import UnknownBrokerIdError

from kae.bench.feed import bench_items
from kae.bench.live import STUCK_SECONDS, BenchFailed
from kae.deploy.cluster import Cluster
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Item
from kae.sinks.store.state import content_hash
from kae.streams.errors import ReplicaUnreachable
from kae.streams.events.items import encode_item_upsert
from kae.streams.kafka.partitioner import partition_of
from kae.streams.replica_api.client import ReplicaClient
from kae.streams.replica_api.status import ShardShown
from kae.streams.topology.types import Topology

PROBED_ITEMS = 64
# Above whatever the load reaches.
LAST_REVISION = 1 << 50


def probed_items() -> list[Item]:
    """Items beside those of the load."""
    return [
        Item(f"probe-{item.id}", item.title, item.description, item.fields)
        for item in bench_items(PROBED_ITEMS)
    ]


def lag_of(cluster: Cluster) -> int | None:
    """How many item events the first replica that answers has not; None: none of them does."""
    ends = _ends(cluster.topology)
    for replica in cluster.replicas.values():
        try:
            shards = _shards(replica.url)
        except ReplicaUnreachable:
            continue
        return sum(ends[shard.shard] - shard.source_next_offset for shard in shards)
    return None


def trim_items(cluster: Cluster) -> None:
    """What retention does to the items topic: what every shard has indexed may go."""
    topology = cluster.topology
    shards = _shards(cluster.replica.url)
    admin = KafkaAdminClient(bootstrap_servers=topology.kafka.bootstrap)
    ends = {
        TopicPartition(topology.items_topic, shard.shard): shard.source_next_offset
        for shard in shards
    }
    deadline = time.monotonic() + STUCK_SECONDS
    while True:
        try:
            admin.delete_records(ends)
        except UnknownBrokerIdError:
            # A broker that is late with its heartbeat leads nothing until the next one.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            break
    admin.close()


def check_complete(cluster: Cluster, items: int) -> tuple[int, list[str]]:
    """Publish every item once more, and compare each replica with a plain fold of the input.

    Returns: how many events were published in all, and what is not as it must be.
    Raises: BenchFailed when the replicas do not catch up.
    """
    _publish_last(cluster.topology, items)
    ends = _ends(cluster.topology)
    deadline = time.monotonic() + STUCK_SECONDS
    while (left := lag_of(cluster)) != 0:
        if time.monotonic() > deadline:
            raise BenchFailed(f"{left} events are not indexed {STUCK_SECONDS:g} s after the end")
        time.sleep(0.5)
    hashes = _expected(cluster.topology, items)
    problems = []
    for name, replica in cluster.replicas.items():
        for shard in _shards(replica.url, with_hashes=True):
            problems += [
                f"{name}, shard {shard.shard}: {problem}"
                for problem in _problems(shard, ends[shard.shard], hashes[shard.shard])
            ]
    return sum(ends.values()), problems


def _problems(shard: ShardShown, end: int, content: str) -> Iterator[str]:
    counts = shard.counts
    # Every event is newer than the one before it, so each that is indexed once is put once.
    if (counts.read, counts.put) != (end, end):
        yield f"{end:,} events, {counts.read:,} read, {counts.put:,} put, {counts.stale:,} stale"
    if shard.hash != content:
        yield f"content is {shard.hash}, a fold of the input gives {content}"


def _shards(url: str, with_hashes: bool = False) -> Sequence[ShardShown]:
    with closing(ReplicaClient(url)) as replica:
        return replica.status(with_hashes).shards


def _publish_last(topology: Topology, items: int) -> None:
    producer = KafkaProducer(bootstrap_servers=topology.kafka.bootstrap, acks="all", linger_ms=20)
    for item in [*bench_items(items), *probed_items()]:
        event = encode_item_upsert(item, LAST_REVISION, "/bench/soak")
        producer.send(topology.items_topic, key=item.id.encode(), value=event)
    producer.flush()
    producer.close()


def _expected(topology: Topology, items: int) -> list[str]:
    encoder = Encoder(Codebook.load(topology.codebook_folder))
    rows = defaultdict(list)
    for item in [*bench_items(items), *probed_items()]:
        identifier = encoder.encode(item).identifier
        rows[partition_of(item.id, topology.shards)].append(
            (item.id, LAST_REVISION, identifier, list[str]())
        )
    return [
        content_hash(sorted(rows[shard], key=lambda row: row[0].encode()))
        for shard in range(topology.shards)
    ]


def _ends(topology: Topology) -> dict[int, int]:
    consumer = KafkaConsumer(bootstrap_servers=topology.kafka.bootstrap, group_id=None)
    places = [TopicPartition(topology.items_topic, shard) for shard in range(topology.shards)]
    ends = {place.partition: end for place, end in consumer.end_offsets(places).items()}
    consumer.close(autocommit=False)
    return ends
