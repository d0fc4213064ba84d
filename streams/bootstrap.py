"""The first contact with the brokers, and what is said when nobody answers."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from kafka.errors import KafkaConnectionError, KafkaTimeoutError, RequestTimedOutError

from kae.streams.errors import KafkaUnreachable
from kae.streams.topology import Topology

CONNECT_SECONDS = 5.0
# A broker that takes connections and never answers is told after so long.
ANSWER_SECONDS = 10.0


@contextmanager
def reached_brokers(topology: Topology) -> Iterator[list[str]]:
    """Yield the addresses to start from, once one of them answers.

    Raises: KafkaUnreachable if none does, or if they fall silent inside.
    """
    addresses = topology.kafka.bootstrap.split(",")
    failures = []
    for address in addresses:
        failure = _connect(address)
        if failure is None:
            break
        failures.append(f"{address}: {failure}")
    else:
        raise _unreachable(topology, ", ".join(failures))
    try:
        yield addresses
    except (KafkaConnectionError, KafkaTimeoutError, RequestTimedOutError) as error:
        raise _unreachable(topology, f"{topology.kafka.bootstrap}: {error}") from error


def bootstrap_ms(topology: Topology) -> int:
    """How long a client may wait for the first answer of a broker."""
    return int(min(ANSWER_SECONDS, topology.kafka.request_timeout_seconds) * 1000)


def _connect(address: str) -> str | None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _unreachable(topology: Topology, reason: str) -> KafkaUnreachable:
    return KafkaUnreachable(
        f"Kafka does not answer ({reason}); start it, or name another with --bootstrap or "
        f"kafka.bootstrap in {topology.path}"
    )
