"""A whole index on this machine: a broker, workers and replicas as processes in one folder."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from kae.deploy.brokers import Broker, BrokerKind, free_port, new_broker
from kae.deploy.processes import Process, answers, kae_command, logged
from kae.streams.kafka.topics import apply_topics
from kae.streams.topology.types import REFERENCE, Topology

WORKER_READY = "worker_ready"
WORKER_LISTENING = "worker_listening"


@dataclass(frozen=True, slots=True)
class ReplicaProcess:
    """A replica's process, and where it answers."""

    process: Process
    url: str


class Cluster:
    """Started as a whole, by `with`; its processes can be killed, paused and joined by others.

    The folder holds topology.yaml, one log per process and what the processes store. A broker that
    already runs may be given; it is left running.
    """

    def __init__(
        self,
        folder: Path,
        broker: BrokerKind | Broker = "embedded",
        *,
        shards: int = 8,
        workers: int = 2,
        replicas: int = 1,
        changes: Mapping[str, object] | None = None,
        reference: Path = REFERENCE,
        environments: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """`changes` edits the reference topology: {"worker.batch_events": 64}.

        `environments` are the variables of each noun's processes: {"worker": {"NAME": "value"}}.
        """
        self.environments = environments or {}
        self.folder = folder.resolve()
        self._owns_broker = isinstance(broker, str)
        self.broker: Broker = (
            new_broker(broker, self.folder / "broker") if isinstance(broker, str) else broker
        )
        self._listen = f"127.0.0.1:{free_port()}"
        self.topology = self._write_topology(reference, shards, changes or {})
        self.workers: dict[str, Process] = {}
        self.replicas: dict[str, ReplicaProcess] = {}
        self.console: Process | None = None
        self._first_workers = [f"worker-{number}" for number in range(1, workers + 1)]
        self._first_replicas = [f"replica-{number}" for number in range(1, replicas + 1)]

    def start(self) -> Self:
        """Returns when every process is ready.

        Raises: BrokerUnavailable; ProcessFailed; nothing is left running then.
        """
        try:
            if self._owns_broker:
                self.broker.start()
            apply_topics(self.topology)
            for name in self._first_workers:
                self.start_worker(name, wait=False)
            for number, name in enumerate(self._first_replicas):
                self.start_replica(name, self._listen if number == 0 else None, wait=False)
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def start_worker(
        self,
        name: str,
        env: Mapping[str, str] | None = None,
        *,
        topology: Topology | None = None,
        wait: bool = True,
    ) -> Process:
        """Start a worker, also one that ended before: under the same name it has its stores.

        Of another generation with its topology.
        """
        data = self.folder / name
        argv = kae_command(
            "worker",
            "run",
            "--topology",
            str((topology or self.topology).path),
            "--data",
            str(data),
            "--name",
            name,
        )
        worker = self._process(name, argv, env).start()
        self.workers[name] = worker
        return worker.wait_ready(logged(WORKER_READY)) if wait else worker

    def worker_url(self, name: str) -> str:
        """Where a worker tells its metrics; it took a port that was free."""
        listening = list(self.workers[name].events(WORKER_LISTENING))
        if not listening:
            raise LookupError(f"{name} does not listen; {self.workers[name].last_words()}")
        url: str = listening[-1]["url"]
        return url

    def start_replica(
        self, name: str, listen: str | None = None, *options: str, wait: bool = True
    ) -> ReplicaProcess:
        """Start a replica; `listen` is HOST:PORT, a free port on loopback by default."""
        listen = listen or f"127.0.0.1:{free_port()}"
        data = self.folder / name
        argv = kae_command(
            "replica", "run", "--topology", str(self.topology.path), "--data", str(data),
            "--listen", listen, "--name", name, *options,
        )  # fmt: skip
        replica = ReplicaProcess(self._process(name, argv, None).start(), f"http://{listen}")
        self.replicas[name] = replica
        if wait:
            replica.process.wait_ready(answers(f"{replica.url}/readyz"))
        return replica

    def start_console(self, name: str = "console") -> str:
        """Start a console at `console.listen`; returns its address once it answers."""
        argv = kae_command("console", "run", "--topology", str(self.topology.path))
        self.console = self._process(name, argv, None).start()
        url = f"http://{self.topology.console.listen}"
        self.console.wait_ready(answers(f"{url}/livez"))
        return url

    def command(self, name: str, *arguments: str) -> Process:
        """Start `kae ARGUMENTS --topology ...` in the folder."""
        argv = kae_command(*arguments, "--topology", str(self.topology.path))
        return self._process(name, argv, None).start()

    def check(self) -> None:
        """Raises: ProcessFailed if a process has ended that nobody ended on purpose."""
        for process in self.processes:
            process.check()

    @property
    def processes(self) -> list[Process]:
        """The broker's process, the workers' and the replicas', and the console's if it runs."""
        replicas = [replica.process for replica in self.replicas.values()]
        consoles = [self.console] if self.console else []
        return [self.broker.process, *self.workers.values(), *replicas, *consoles]

    def wait_ready(self) -> None:
        """Raises: ProcessFailed if a process ends, or is not ready in time."""
        for worker in self.workers.values():
            worker.wait_ready(logged(WORKER_READY))
        for replica in self.replicas.values():
            replica.process.wait_ready(answers(f"{replica.url}/readyz"))

    @property
    def replica(self) -> ReplicaProcess:
        """The first replica: the one that topology.yaml names."""
        return next(iter(self.replicas.values()))

    def stop(self) -> None:
        """Ask all to end, replicas and workers before the broker."""
        if self.console:
            self.console.terminate()
        _terminate(replica.process for replica in self.replicas.values())
        _terminate(self.workers.values())
        if self._owns_broker:
            self.broker.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _write_topology(
        self, reference: Path, shards: int, changes: Mapping[str, object]
    ) -> Topology:
        ours = {
            "shards": shards,
            "kafka.bootstrap": self.broker.bootstrap,
            "stores.path": str(self.folder / "stores"),
            "replica.listen": self._listen,
            "console.listen": f"127.0.0.1:{free_port()}",
        }
        edited = Topology.load(reference).edited({**ours, **changes})
        return edited.write(self.folder / "topology.yaml")

    def _process(self, name: str, argv: list[str], env: Mapping[str, str] | None) -> Process:
        # The folder as working directory: the .kae/local.json of another run must not reach it.
        self.folder.mkdir(parents=True, exist_ok=True)
        noun = argv[len(kae_command())]
        env = {**self.environments.get(noun, {}), **(env or {})}
        return Process(name, argv, self.folder / f"{name}.log", env, cwd=self.folder)


def _terminate(processes: Iterable[Process]) -> None:
    """At once, for each may take its seconds."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(Process.terminate, list(processes)))
