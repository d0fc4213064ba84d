"""A collector of traces on loopback: it takes OTLP over HTTP, as kae's processes send it."""

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class CollectedSpan:
    """A span as it was told."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    begin_ns: int
    end_ns: int
    attributes: dict[str, str | int]


class Collector:
    """What has been told so far."""

    def __init__(self) -> None:
        self._spans: list[CollectedSpan] = []
        self._told = threading.Condition()
        self.port = 0

    def take(self, request: ExportTraceServiceRequest) -> None:
        spans = []
        for group in request.resource_spans:
            described = {pair.key: pair.value.string_value for pair in group.resource.attributes}
            spans += [
                CollectedSpan(
                    described["service.name"],
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    {
                        pair.key: pair.value.string_value or pair.value.int_value
                        for pair in span.attributes
                    },
                )
                for scope in group.scope_spans
                for span in scope.spans
            ]
        with self._told:
            self._spans += spans
            self._told.notify_all()

    def spans(self, count: int) -> list[CollectedSpan]:
        """All spans, once there are so many."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self._told:
            while len(self._spans) < count:
                left = deadline - time.monotonic()
                assert left > 0, f"{len(self._spans)} of {count} spans: {self._spans}"
                self._told.wait(left)
            return list(self._spans)


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collector.take(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_request(self, *_: object) -> None:
            """Say nothing of each."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
