"""The first contact with the brokers, and what is said when nobody answers."""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from kafka.errors import (
    AuthorizationError,
    KafkaConnectionError,
    KafkaTimeoutError,
    RequestTimedOutError,
    SaslAuthenticationFailedError,
    UnknownBrokerIdError,
)

from kae.streams.errors import KafkaRefused, KafkaUnreachable
from kae.streams.kafka_connection import tls_context
from kae.streams.topology import Topology

CONNECT_SECONDS = 5.0
# A broker that takes connections and never answers is told after so long.
ANSWER_SECONDS = 10.0


# Nobody answers, or nobody leads a partition: kafka-python then asks the broker of number -1.
SILENCES = (KafkaConnectionError, KafkaTimeoutError, RequestTimedOutError, UnknownBrokerIdError)
# What no waiting mends: the brokers answer, and say no.
REFUSALS = (AuthorizationError, SaslAuthenticationFailedError)


@contextmanager
def reached_brokers(topology: Topology) -> Iterator[None]:
    """Go on once one of the addresses to start from takes connections.

    Raises: KafkaUnreachable if none does, or if they fall silent inside; KafkaRefused if they do
    not know who asks, or do not allow it.
    """
    addresses = topology.kafka.bootstrap.split(",")
    failures = []
    context = tls_context(topology) if topology.kafka.security.has_tls else None
    for address in addresses:
        failure = _connect(address, context)
        if failure is None:
            break
        failures.append(f"{address}: {failure}")
    else:
        raise _unreachable(topology, ", ".join(failures))
    try:
        yield
    except REFUSALS as error:
        raise refused(topology, error) from error
    except SILENCES as error:
        # kafka-python tries a login that was refused again, until its time is over.
        if topology.kafka.security.has_sasl and "bootstrap" in str(error):
            raise refused(topology, "no login, by a wrong name or password as a rule") from error
        raise _unreachable(topology, f"{topology.kafka.bootstrap}: {error}") from error


def refused(topology: Topology, reason: object) -> KafkaRefused:
    """What a refusal is to whoever gave the command."""
    security = topology.kafka.security
    who = security.username or security.cert_file or "anonymous"
    return KafkaRefused(
        f"Kafka at {topology.kafka.bootstrap} refuses {who} ({security.protocol}): {reason}; "
        f"correct kafka.security in {topology.path}, or give it what `kae topology acls` says"
    )


def bootstrap_ms(topology: Topology) -> int:
    """How long a client may wait for the first answer of a broker."""
    return int(min(ANSWER_SECONDS, topology.kafka.request_timeout_seconds) * 1000)


def _connect(address: str, context: ssl.SSLContext | None) -> str | None:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        with contextlib.ExitStack() as open_sockets:
            plain = socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS)
            open_sockets.enter_context(plain)
            if context is not None:
                open_sockets.enter_context(context.wrap_socket(plain, server_hostname=host))
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not trusted: {error.verify_message}"
    except OSError as error:
        return error.strerror or str(error)
    return None


def _unreachable(topology: Topology, reason: str) -> KafkaUnreachable:
    return KafkaUnreachable(
        f"Kafka does not answer ({reason}); start it, or name another with --bootstrap or "
        f"kafka.bootstrap in {topology.path}"
    )
