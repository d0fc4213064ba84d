"""Item events at a steady rate from a process of their own, which takes no time from the measuring.

argv: topology, items, events a second. The items are those of the feed, in turn, each with a higher
revision than before, so that the index keeps its size and what a selector matches.
"""

import json
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from kafka import KafkaProducer

from kae.bench.feed import bench_items
from kae.deploy.cluster import Cluster
from kae.deploy.processes import Process, logged
from kae.streams.events.items import encode_item_upsert
from kae.streams.topology.types import Topology

# Short, or events would come in bursts that nobody's catalog has.
STEP_SECONDS = 0.005
# Stands where the revision will, in events that are encoded before.
_PLACE = 8_888_888_888_888
BEGUN, TOLD = "load_begun", "load"


class Load:
    """The process, for as long as `with` lasts."""

    def __init__(self, cluster: Cluster, items: int, events_per_second: float) -> None:
        argv = [sys.executable, "-m", "kae.bench.load", str(cluster.topology.path), str(items)]
        self._process = Process(
            "load",
            [*argv, str(events_per_second)],
            cluster.folder / "load.log",
            cwd=cluster.folder,
        )
        self._begun_at = 0.0

    def events_per_second(self) -> float:
        """The rate that was reached."""
        told = list(self._process.events(TOLD))
        return float(sum(line["events"] for line in told) / max(1, len(told)))

    def __enter__(self) -> Self:
        self._process.start().wait_ready(logged(BEGUN))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()


def publish(topology: Topology, items: int, events_per_second: float) -> None:
    """Publish until killed; once a second, say how many events went out in it."""
    # Encoded before: the time of this process is taken from those that are measured.
    events = [
        (item.id.encode(), encode_item_upsert(item, _PLACE, "/bench/load"))
        for item in bench_items(items)
    ]
    # Kafka's own clients wait as long since 4.0.
    producer = KafkaProducer(bootstrap_servers=topology.kafka.bootstrap, acks="all", linger_ms=5)
    print(json.dumps({"event": BEGUN}), flush=True)
    began = second = time.monotonic()
    sent = told = 0
    while True:
        due = int((time.monotonic() - began) * events_per_second)
        for number in range(sent, due):
            key, value = events[number % items]
            # Above the revision of the first filling, and rising with each turn.
            revision = str(2 + number // items).encode()
            producer.send(
                topology.items_topic, key=key, value=value.replace(str(_PLACE).encode(), revision)
            )
        sent = max(sent, due)
        if time.monotonic() - second >= 1.0:
            second += 1.0
            print(json.dumps({"event": TOLD, "events": sent - told}), flush=True)
            told = sent
        time.sleep(STEP_SECONDS)


if __name__ == "__main__":
    publish(Topology.load(Path(sys.argv[1])), int(sys.argv[2]), float(sys.argv[3]))
