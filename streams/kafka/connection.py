"""Connect to the brokers with kafka.security, and report brokers that do not answer or refuse.

Only this file reads secrets. `kafka.security` names the places of user name and password
(`env:NAME`, `file:PATH`). They are read when a client is made and kept only in its settings: no
error, log line or `--json` contains them.
"""

import contextlib
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kafka.errors import (
    AuthorizationError,
    KafkaConnectionError,
    KafkaTimeoutError,
    RequestTimedOutError,
    SaslAuthenticationFailedError,
    UnknownBrokerIdError,
)

from kae.streams.errors import CredentialsUnusable, KafkaRefused, KafkaUnreachable
from kae.streams.topology.parts import SecretSource
from kae.streams.topology.types import Topology

Settings = dict[str, Any]


def connection(topology: Topology) -> Settings:
    """The settings of every kafka-python client: brokers, and TLS and SASL if configured.

    Raises: CredentialsUnusable.
    """
    security = topology.kafka.security
    settings: Settings = {
        "bootstrap_servers": topology.kafka.bootstrap.split(","),
        "security_protocol": security.protocol,
    }
    if security.has_tls:
        settings["ssl_context"] = tls_context(topology)
    if security.has_sasl:
        username, password = login(topology)
        settings["sasl_mechanism"] = security.mechanism
        settings["sasl_plain_username"] = username
        settings["sasl_plain_password"] = password
    return settings


def tls_context(topology: Topology) -> ssl.SSLContext:
    """Trust `ca_file`, or else the system's CAs; present `cert_file`, if there is one.

    Raises: CredentialsUnusable.
    """
    security = topology.kafka.security
    named = ", ".join(
        f"{key} {path}"
        for key in ("ca_file", "cert_file", "key_file")
        if (path := getattr(security, key)) is not None
    )
    try:
        context = ssl.create_default_context(cafile=security.ca_file)
        if security.cert_file is not None:
            # Without a password, OpenSSL would ask the terminal for that of an encrypted key.
            context.load_cert_chain(security.cert_file, security.key_file, password="")
    except (OSError, ssl.SSLError) as error:
        raise CredentialsUnusable(
            f"kafka.security: {named}: {error.strerror or error}; name PEM files that this process "
            f"may read, the key without a passphrase, in {topology.path}"
        ) from error
    return context


def login(topology: Topology) -> tuple[str, str]:
    """The user name and the password, from the places that the topology names.

    Raises: CredentialsUnusable, which names the place and never its content.
    """
    security = topology.kafka.security
    return _found(topology, "username", security.username), _found(
        topology, "password", security.password
    )


def _found(topology: Topology, key: str, source: SecretSource | None) -> str:
    scheme, _, place = (source or "").partition(":")
    reason = None
    if scheme == "env":
        found = os.environ.get(place, "")
    else:
        found = ""
        try:
            found = Path(place).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "is not text"
    if found:
        return found
    raise CredentialsUnusable(
        f"kafka.security.{key}: {source} {reason or 'is empty'}; set it for this process, or name "
        f"another place in {topology.path}"
    )


CONNECT_SECONDS = 5.0
# A broker that accepts connections and never answers is reported after this time.
ANSWER_SECONDS = 10.0
# No broker answers, or a partition has no leader: kafka-python then asks the broker with id -1.
NO_ANSWER = (KafkaConnectionError, KafkaTimeoutError, RequestTimedOutError, UnknownBrokerIdError)
# The brokers answer with a refusal: retrying does not help.
REFUSALS = (AuthorizationError, SaslAuthenticationFailedError)


@contextmanager
def reached_brokers(topology: Topology) -> Iterator[None]:
    """Enter when one of the bootstrap addresses accepts connections.

    Raises: KafkaUnreachable if none does, or if the brokers stop answering inside; KafkaRefused if
    they refuse the user or the request.
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
    except NO_ANSWER as error:
        # kafka-python retries a refused login until it times out.
        if topology.kafka.security.has_sasl and "bootstrap" in str(error):
            raise refused(topology, "no login; usually a wrong name or password") from error
        raise _unreachable(topology, f"{topology.kafka.bootstrap}: {error}") from error


def refused(topology: Topology, reason: object) -> KafkaRefused:
    """The error for a refusal."""
    security = topology.kafka.security
    who = security.username or security.cert_file or "anonymous"
    return KafkaRefused(
        f"Kafka at {topology.kafka.bootstrap} refuses {who} ({security.protocol}): {reason}; "
        f"correct kafka.security in {topology.path}, or grant it what `kae topology acls` lists"
    )


def bootstrap_ms(topology: Topology) -> int:
    """How long a client waits for a broker's first answer."""
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
