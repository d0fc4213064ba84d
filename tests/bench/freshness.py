"""The time from an item event to its revision in a replica, compared with two bare broker hops."""

import random
import time

import httpx
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from kae.bench.feed import bench_items
from kae.bench.filled_index import FilledIndex, filled_index
from kae.bench.latencies import FreshnessRuns
from kae.bench.live import BenchFailed
from kae.bench.load import Load
from kae.bench.progress import track
from kae.encoders.items import Item
from kae.streams.events.items import encode_item_upsert
from kae.streams.topology.types import Topology

WITHIN_SECONDS = 20.0
SETTLE_SECONDS = 3.0
# Between two probes, at random, so that they do not fall in step with anything that is timed.
PAUSE_SECONDS = (0.02, 0.12)
HOPS_TOPIC = "bench.hops"
# Far above what the load reaches.
FIRST_REVISION = 1_000_000


def measure_freshness(items: int, probes: int, workers: int) -> FreshnessRuns:
    """Probe items and pairs of hops in turn, while items arrive at half of the full rate.

    Raises: BenchFailed when a revision does not come.
    """
    chance = random.Random(0)
    with filled_index(items, workers) as line:
        probed = chance.sample(list(bench_items(items)), probes)
        bench = FreshnessBench(line)
        hops = TwoHops(line.cluster.topology, probed)
        ours, theirs = [], []
        with Load(line.cluster, items, line.events_per_second / 2) as load:
            time.sleep(SETTLE_SECONDS)
            bench.time(probed[0], FIRST_REVISION)  # connections are made
            hops.time(0)
            with track("items", probes) as meter:
                for number, item in enumerate(probed):
                    time.sleep(chance.uniform(*PAUSE_SECONDS))
                    ours.append(bench.time(item, FIRST_REVISION + 1 + number))
                    time.sleep(chance.uniform(*PAUSE_SECONDS))
                    theirs.append(hops.time(number))
                    meter(number + 1)
            load_rate = load.events_per_second()
        bench.close()
        hops.close()
    return FreshnessRuns(items, workers, line.events_per_second, load_rate, ours, theirs)


class FreshnessBench:
    """Sends one revision after the other and waits until the replica shows it."""

    def __init__(self, line: FilledIndex) -> None:
        self._topic = line.cluster.topology.items_topic
        self._http = httpx.Client(base_url=line.cluster.replica.url, timeout=30.0, trust_env=False)
        self._producer = KafkaProducer(
            bootstrap_servers=line.cluster.topology.kafka.bootstrap, acks="all", linger_ms=0
        )

    def time(self, item: Item, revision: int) -> float:
        """Seconds from just before the event is sent until GET /items/{id} has its revision."""
        event = encode_item_upsert(item, revision, "/bench")
        began = time.perf_counter()
        self._producer.send(self._topic, key=item.id.encode(), value=event)
        wanted = {"revision": revision, "within_ms": int(WITHIN_SECONDS * 1000)}
        answer = self._http.get(f"/items/{item.id}", params=wanted)
        seconds = time.perf_counter() - began
        if answer.is_success and answer.json()["revision"] >= revision:
            return seconds
        raise BenchFailed(f"{item.id}: revision {revision} is not there after {WITHIN_SECONDS} s")

    def close(self) -> None:
        self._producer.close()
        self._http.close()


class TwoHops:
    """The least that a log between two logs costs: produce, consume, produce, consume.

    Both hops in one thread, which waits for nothing but the broker.
    """

    def __init__(self, topology: Topology, payloads: list[Item]) -> None:
        bootstrap = topology.kafka.bootstrap
        admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        admin.create_topics([NewTopic(HOPS_TOPIC, num_partitions=2, replication_factor=1)])
        admin.close()
        self._payloads = [encode_item_upsert(item, 1, "/bench") for item in payloads]
        self._producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=0)
        self._consumers = []
        for partition in range(2):
            consumer = KafkaConsumer(
                bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest"
            )
            consumer.assign([TopicPartition(HOPS_TOPIC, partition)])
            self._consumers.append(consumer)

    def time(self, number: int) -> float:
        """Seconds from just before the first send until the second consumer has the record."""
        payload = self._payloads[number]
        began = time.perf_counter()
        for partition, consumer in enumerate(self._consumers):
            self._producer.send(HOPS_TOPIC, value=payload, partition=partition)
            while not consumer.poll(timeout_ms=1000):
                if time.perf_counter() - began > WITHIN_SECONDS:
                    raise BenchFailed(f"hop {partition + 1}: no record in {WITHIN_SECONDS:g} s")
        return time.perf_counter() - began

    def close(self) -> None:
        self._producer.close()
        for consumer in self._consumers:
            consumer.close(autocommit=False)
