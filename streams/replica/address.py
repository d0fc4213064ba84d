"""The address that a replica answers at, tried before anything else is begun."""

import socket

from kae.streams.errors import AddressRefused


def check_address(listen: str) -> None:
    """Refuse host:port where this process cannot listen; it is free again when this returns.

    Raises: AddressRefused.
    """
    host, _, port = listen.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise AddressRefused(
            f"{listen}: cannot listen there: {error.strerror or error}; stop what does, or choose "
            "another with --listen or replica.listen"
        ) from error
