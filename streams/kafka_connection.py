"""How kae's clients reach the brokers, and as whom; no other file reads what is secret.

`kafka.security` says where a user name and a password are found (`env:NAME`, `file:PATH`). They are
read when a client is made and kept in its settings alone: no error, log line or `--json` has them.
"""

import os
import ssl
from pathlib import Path
from typing import Any

from kae.streams.errors import CredentialsUnusable
from kae.streams.topology import Source, Topology

Settings = dict[str, Any]


def connection(topology: Topology) -> Settings:
    """What every kafka-python client is given: brokers, and TLS and SASL where they are asked for.

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
    """Trust the CA that is named, else the system's; show a certificate where one is named.

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
            # An encrypted key would make OpenSSL ask a terminal that is not there.
            context.load_cert_chain(security.cert_file, security.key_file, password="")
    except (OSError, ssl.SSLError) as error:
        raise CredentialsUnusable(
            f"kafka.security: {named}: {error.strerror or error}; name PEM files that this process "
            f"may read, the key without a passphrase, in {topology.path}"
        ) from error
    return context


def login(topology: Topology) -> tuple[str, str]:
    """The user name and the password, from where the topology says that they are.

    Raises: CredentialsUnusable, which names the place and never what is there.
    """
    security = topology.kafka.security
    return _found(topology, "username", security.username), _found(
        topology, "password", security.password
    )


def _found(topology: Topology, key: str, source: Source | None) -> str:
    scheme, _, place = (source or "").partition(":")
    reason = None
    if scheme == "env":
        found = os.environ.get(place, "")
    else:
        found = ""
        try:
            found = Path(place).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "is no text"
    if found:
        return found
    raise CredentialsUnusable(
        f"kafka.security.{key}: {source} {reason or 'is empty'}; set it for this process, or name "
        f"another place in {topology.path}"
    )
