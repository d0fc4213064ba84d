"""Items and terms that stream through workers and a replica while an accident happens."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fetching import fetch
from tests.icecat import catalog_items
from tests.live.ledger import Event, Ledger, storm, twenty_terms
from tests.live.proof import prove
from tests.live.storm import Killer, wait_for

from kae.deploy.cluster import Cluster

PORTION = 100
PAUSE_SECONDS = 0.05


class Flow:
    """Publishes in the background, at most 2,000 events a second."""

    def __init__(self, ledger: Ledger, events: list[Event]) -> None:
        self._ledger = ledger
        self._events = events
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="flow", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Wait until everything is published."""
        self._thread.join(100)
        if self._error is not None:
            raise self._error
        assert not self._thread.is_alive(), "the broker does not take the rest of the stream"

    def _run(self) -> None:
        try:
            for first in range(0, len(self._events), PORTION):
                self._ledger.publish(self._events[first : first + PORTION])
                time.sleep(PAUSE_SECONDS)
        except BaseException as error:
            self._error = error


@dataclass(slots=True)
class Story:
    """What can be told afterwards: why records of the shards' logs were passed over."""

    passed_over: list[str] = field(default_factory=list)


@contextmanager
def streaming(cluster: Cluster, ledger: Ledger, killer: Killer, scratch: Path) -> Iterator[Story]:
    """What is done inside happens amid a stream; in the end all has to be as if it had not been."""
    items = catalog_items(8000)  # some four seconds
    events = storm(items, seed=11)
    for n, term in enumerate(terms := twenty_terms(items)):
        events.insert((n + 1) * len(events) // (len(terms) + 1), term)
    cluster.start_replica("replica-1", wait=False)
    for name in ("one", "two"):
        cluster.start_worker(name, killer.env, wait=False)
    cluster.wait_ready()
    flow = Flow(ledger, events)
    wait_for(lambda: _read(cluster) > 1000, "a part of the stream to be indexed")
    before = ledger.published()
    story = Story()
    yield story
    flow.end()
    assert ledger.published() - before > 1000, "the accident came too late in the stream"
    cluster.check()
    passed_over = prove(cluster, ledger, scratch)
    story.passed_over = [reason for reasons in passed_over.values() for reason in reasons]
    for worker in cluster.workers.values():
        if worker.returncode != 0:
            raise AssertionError(
                f"{worker.name} ended with {worker.returncode}; {worker.last_words()}"
            )
    expected = [ledger.hash(shard) for shard in range(cluster.topology.shards)]
    wait_for(lambda: _hashes(cluster) == expected, "the replica to be the same")


def causes(cluster: Cluster, event: str) -> list[str]:
    """Why workers have logged that event."""
    return [
        logged["cause"] for worker in cluster.workers.values() for logged in worker.events(event)
    ]


def _read(cluster: Cluster) -> int:
    return sum(shard["counts"]["read"] for shard in _shards(cluster))


def _hashes(cluster: Cluster) -> list[str]:
    return [shard["hash"] for shard in _shards(cluster, "?hash=1")]


def _shards(cluster: Cluster, query: str = "") -> list[dict[str, Any]]:
    answer = fetch(f"{cluster.replica.url}/status{query}")
    shards: list[dict[str, Any]] = answer.raise_for_status().json()["shards"]
    return shards
