"""The worker's HTTP server, in threads of its own; it only reads.

GET /metrics   for Prometheus (docs/metrics.md)
GET /livez     the process answers; the watchdog ends one that stands still
GET /readyz    it owns all that is assigned to it; else 503 and the reasons
"""

import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import msgspec

from kae.streams.telemetry.registry import CONTENT_TYPE, MetricRegistry

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


# A client that sends nothing for this long is disconnected.
TIMEOUT_SECONDS = 10.0


class Readiness(msgspec.Struct, frozen=True):
    """Whether a worker owns what is assigned to it, and if not, why."""

    ready: bool
    reasons: list[str]


class Unknown(msgspec.Struct, frozen=True):
    """The answer to any other address."""

    error: str


class WorkerHttp:
    """Answers at a socket that listens already, until `stop`."""

    def __init__(
        self, listener: socket.socket, meters: MetricRegistry, readiness: Callable[[], Readiness]
    ) -> None:
        self._meters = meters
        self._readiness = readiness
        self._server = _Server(listener)
        self._server.set_app(self._answer)
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, request: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        status, kind, body = self._found(request["PATH_INFO"])
        start(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    def _found(self, path: str) -> tuple[str, str, bytes]:
        match path:
            case "/metrics":
                return "200 OK", CONTENT_TYPE, self._meters.text()
            case "/livez":
                return _json("200 OK", {"live": True})
            case "/readyz":
                readiness = self._readiness()
                status = "200 OK" if readiness.ready else "503 Service Unavailable"
                return _json(status, readiness)
        return _json("404 Not Found", Unknown(f"{path}: ask /metrics, /livez or /readyz"))


def _json(status: str, value: object) -> tuple[str, str, bytes]:
    return status, "application/json", msgspec.json.encode(value)


class _Handler(WSGIRequestHandler):
    timeout = TIMEOUT_SECONDS

    def log_message(self, *_: Any) -> None:
        """Requests are not logged: a scrape is no event."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = listener.getsockname()[:2]
        self.setup_environ()
