"""Items and terms that stream through workers and a replica while an accident happens."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fetching import fetch
from tests.icecat import catalog_items
from tests.live.killer import Killer, wait_for
from tests.live.ledger import Event, Ledger, storm, twenty_terms
from tests.live.proof import prove

from kae.deploy.cluster import Cluster


class Stream:
    """Publishes events in the background, at most 2,000 a second."""

    PAUSE_SECONDS = 0.05

    def __init__(self, ledger: Ledger, events: list[Event]) -> None:
        self._ledger = ledger
        self._events = events
        self._sent = 0
        self._hurried = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)
        self._thread.start()

    @property
    def unsent(self) -> int:
        return len(self._events) - self._sent

    def end(self) -> None:
        """Wait until everything is published."""
        self._thread.join(100)
        if self._error is not None:
            raise self._error
        assert not self._thread.is_alive(), "the broker does not take the rest of the stream"

    def _run(self) -> None:
        try:
            while self.unsent:
                # Taken once: how many may be sent can grow at any moment.
                portion = self._events[self._sent : self._sent + self._portion()]
                self._ledger.publish(portion)
                self._sent += len(portion)
                self._hurried.wait(self.PAUSE_SECONDS)
        except BaseException as error:
            self._error = error

    def _portion(self) -> int:
        return 100


class HeldStream(Stream):
    """Held back so that it outlasts every kill."""

    PAUSE_SECONDS = 0.1

    def __init__(self, ledger: Ledger, events: list[Event], kills: int) -> None:
        self._between_kills = len(events) // (kills + 1)
        self._allowed = self._between_kills
        super().__init__(ledger, events)

    def allow_more(self) -> None:
        self._allowed += self._between_kills

    def end(self) -> None:
        """Publish the rest at once."""
        self._hurried.set()
        super().end()

    def _portion(self) -> int:
        """Nearly at the allowance it drips, so that there is always something to index."""
        if self._hurried.is_set():
            return 500
        return 40 if self._allowed - self._sent > self._between_kills // 3 else 1


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
    stream = Stream(ledger, events)
    wait_for(lambda: _read(cluster) > 1000, "a part of the stream to be indexed")
    before = ledger.published()
    story = Story()
    yield story
    stream.end()
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
