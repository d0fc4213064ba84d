"""A line at half load for as long as it is asked, while processes are killed at random.

Two workers, two replicas. At first any of the four dies; from a while before the half on only the
second of each kind, so that the first ones grow old enough for a leak to be seen. Snapshots are
taken and the logs pruned meanwhile, as in a line that runs for years.
"""

import random
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from kafka import KafkaProducer

from kae.bench.filled_index import CHANGES, stream_in
from kae.bench.live import STUCK_SECONDS, BenchFailed
from kae.bench.load import Load
from kae.bench.progress import track
from kae.bench.soak_checks import check_complete, lag_of, probed_items, trim_items
from kae.deploy.brokers import ApacheKafka
from kae.deploy.cluster import WORKER_READY, Cluster
from kae.deploy.processes import answers, kae_command, logged
from kae.streams.events.items import encode_item_upsert
from kae.streams.topology.types import Topology

WORKERS = ("worker-1", "worker-2")
REPLICAS = ("replica-1", "replica-2")
PROBE_EVERY_SECONDS = 0.5
# Also of one that is sent while the line catches up after a kill.
PROBE_WITHIN_SECONDS = 30.0
SAMPLE_SECONDS = 1.0
# Snapshots and prunings in a run, whatever its length.
SNAPSHOTS, PRUNINGS = 24, 8
# Kills in a run of an hour: one a minute, and no more often than this.
LEAST_PAUSE_SECONDS = 6.0
MOST_PAUSE_SECONDS = 90.0
# Of the run: what was killed before is whole again at the half, from which on memory is compared.
SPARED_FROM = 0.4


@dataclass(frozen=True, slots=True)
class Kill:
    """Seconds since the beginning; `over` is when the line was whole again."""

    name: str
    at: float
    over: float


@dataclass(frozen=True, slots=True)
class Probe:
    """When it was sent, and how long until a replica showed it; both in seconds."""

    at: float
    seconds: float


@dataclass(slots=True)
class SoakRun:
    """What was seen."""

    seconds: float
    seed: int
    full_rate: float
    items: int
    load_rate: float = 0.0
    published: int = 0
    kills: list[Kill] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    memory: dict[str, list[tuple[float, int]]] = field(default_factory=dict)  # seconds, bytes
    problems: list[str] = field(default_factory=list)  # what was lost, doubled or not the same


def measure_soak(seconds: float, items: int, seed: int) -> SoakRun:
    """Raises: BenchFailed when the line does not come back; ProcessFailed; BrokerUnavailable."""
    with (
        tempfile.TemporaryDirectory(prefix="kae-soak-") as folder,
        _line(Path(folder), seconds) as cluster,
    ):
        rate = stream_in(cluster, items)
        run = SoakRun(seconds, seed, rate, items)
        with Load(cluster, items, rate / 2) as load:
            _Soak(cluster, run).go()
            run.load_rate = load.events_per_second()
        run.published, run.problems = check_complete(cluster, items)
        cluster.check()
    return run


@contextmanager
def _line(folder: Path, seconds: float) -> Iterator[Cluster]:
    changes = {
        **CHANGES,
        "snapshots.url": str(folder / "archive"),
        "snapshots.every_seconds": max(5.0, seconds / SNAPSHOTS),
        "snapshots.grace_seconds": 1.0,
    }
    shards = Topology.load().shards
    with ApacheKafka(folder / "kafka") as broker:
        cluster = Cluster(
            folder / "line", broker, shards=shards, workers=2, replicas=2, changes=changes
        )
        with cluster:
            yield cluster


class _Soak:
    """The hands of a run: each a thread, all of them ended by the same bell."""

    def __init__(self, cluster: Cluster, run: SoakRun) -> None:
        self._cluster = cluster
        self._run = run
        self._chance = random.Random(run.seed)
        self._began = time.monotonic()
        self._over = threading.Event()
        self._errors: list[BaseException] = []

    def go(self) -> None:
        hands = [
            threading.Thread(target=self._hand, args=(work,), name=work.__name__, daemon=True)
            for work in (self._kill, self._probe, self._weigh, self._prune)
        ]
        for hand in hands:
            hand.start()
        with track("seconds", int(self._run.seconds)) as meter:
            while self._now() < self._run.seconds and not self._errors:
                self._over.wait(1.0)
                meter(int(self._now()))
        self._over.set()
        for hand in hands:
            hand.join(PROBE_WITHIN_SECONDS * 3)
        if self._errors:
            raise self._errors[0]

    def _hand(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._errors.append(error)
            self._over.set()

    def _now(self) -> float:
        return time.monotonic() - self._began

    # Kills.

    def _kill(self) -> None:
        most = min(MOST_PAUSE_SECONDS, max(2 * LEAST_PAUSE_SECONDS, self._run.seconds / 10))
        while not self._over.wait(self._chance.uniform(LEAST_PAUSE_SECONDS, most)):
            spares = self._now() > self._run.seconds * SPARED_FROM
            name = self._chance.choice(
                [WORKERS[1], REPLICAS[1]] if spares else [*WORKERS, *REPLICAS]
            )
            at = self._now()
            if name in WORKERS:
                self._kill_worker(name)
            else:
                self._kill_replica(name)
            self._run.kills.append(Kill(name, at, self._now()))

    def _kill_worker(self, name: str) -> None:
        self._cluster.workers[name].kill()
        worker = self._cluster.start_worker(name, wait=False)
        worker.wait_ready(logged(WORKER_READY), within_seconds=STUCK_SECONDS)
        self._wait_caught_up()

    def _kill_replica(self, name: str) -> None:
        replica = self._cluster.replicas[name]
        replica.process.kill()
        listen = replica.url.removeprefix("http://")
        again = self._cluster.start_replica(name, listen, wait=False)
        again.process.wait_ready(answers(f"{again.url}/readyz"), within_seconds=STUCK_SECONDS)

    def _wait_caught_up(self) -> None:
        """Until every shard is within a second of its items again, as the replicas see it."""
        deadline = time.monotonic() + STUCK_SECONDS
        most = self._run.full_rate
        while (left := lag_of(self._cluster)) is None or left > most:
            if time.monotonic() > deadline:
                raise BenchFailed(f"{left} events behind {STUCK_SECONDS:g} s after a kill")
            time.sleep(0.2)

    # Freshness.

    def _probe(self) -> None:
        topology = self._cluster.topology
        producer = KafkaProducer(
            bootstrap_servers=topology.kafka.bootstrap, acks="all", linger_ms=0
        )
        probed = probed_items()
        number = 0
        while not self._over.wait(PROBE_EVERY_SECONDS):
            number += 1
            probe = probed[number % len(probed)]
            event = encode_item_upsert(probe, number, "/bench/soak")
            at = self._now()
            producer.send(topology.items_topic, key=probe.id.encode(), value=event)
            self._wait_shown(probe.id, number, at)
            self._run.probes.append(Probe(at, self._now() - at))
        producer.close()

    def _wait_shown(self, item: str, revision: int, at: float) -> None:
        """Ask the replicas in turn, as a client behind a balancer does."""
        turn = int(at * 1000)
        while self._now() - at < PROBE_WITHIN_SECONDS:
            turn += 1
            replica = self._cluster.replicas[REPLICAS[turn % 2]]
            left_ms = int((PROBE_WITHIN_SECONDS - (self._now() - at)) * 1000)
            wanted = {"revision": revision, "within_ms": max(1, min(1000, left_ms))}
            try:
                answer = httpx.get(
                    f"{replica.url}/items/{item}", params=wanted, timeout=10.0, trust_env=False
                )
            except httpx.TransportError:
                time.sleep(0.01)
                continue
            if answer.is_success and answer.json()["revision"] >= revision:
                return
        raise BenchFailed(
            f"{item}: revision {revision} is not there after {PROBE_WITHIN_SECONDS} s"
        )

    # Memory.

    def _weigh(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            for process in self._cluster.processes:
                rss = _resident_bytes(process.pid)
                if rss:
                    self._run.memory.setdefault(process.name, []).append((self._now(), rss))

    # Upkeep.

    def _prune(self) -> None:
        while not self._over.wait(max(10.0, self._run.seconds / PRUNINGS)):
            argv = kae_command(
                "snapshot", "prune", "--yes", "--topology", str(self._cluster.topology.path)
            )
            subprocess.run(argv, check=True, capture_output=True, cwd=self._cluster.folder)
            trim_items(self._cluster)


def _resident_bytes(pid: int | None) -> int:
    try:
        text = Path(f"/proc/{pid}/statm").read_text(encoding="ascii")
    except OSError:
        return 0
    return int(text.split()[1]) * 4096
