"""The address that a process answers at, bound before anything else is started."""

import socket

from kae.streams.errors import AddressRefused


def listen_at(listen: str, key: str) -> socket.socket:
    """A socket that listens at host:port, port 0 for any; `key` is the key in topology.yaml.

    Raises: AddressRefused.
    """
    host, _, port = listen.rpartition(":")
    listener: socket.socket | None = None
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        if listener is not None:
            listener.close()
        raise AddressRefused(
            f"{listen}: cannot listen there: {error.strerror or error}; stop what does, or choose "
            f"another with --listen or {key}"
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
