"""Traces: an item followed from its publishing to the replicas' views, with OpenTelemetry.

A trace has three kinds of spans, with the attributes of OpenTelemetry's messaging conventions:
    send ITEMS        from the feed's row to the broker's acknowledgement; or a producer's own
    process ITEMS     in the worker: from admission until the shard's store has the item
    process DELTAS    in each replica: from the delta's arrival until a view with it is in use

W3C's `traceparent` is a header of the event's record, and one header of the delta's record for each
event of it that is followed. Only events that a producer sampled are followed, so tracing costs
nothing until a record carries the header. The header is not read, and OpenTelemetry is not
imported, unless OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT names a
collector.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from kae.streams.errors import NotInstalled

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanKind


HEADER = "traceparent"
# The most spans of one delta, for a producer that samples every event.
FOLLOWED_PER_DELTA = 16
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_SAMPLED = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f][13579bdf]")
TraceHeaders = Sequence[tuple[str, bytes | None]]
Carried = list[tuple[str, bytes]]
_carried: ContextVar[tuple[tuple[str, bytes], ...]] = ContextVar("carried", default=())


class Traced(Protocol):
    """A record, as the Kafka clients return it."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def headers(self) -> TraceHeaders: ...


class Spans:
    """Spans that begin and end together: one for each record of a piece of work."""

    def __init__(self, spans: Sequence["Span"] = ()) -> None:
        self._spans = spans

    @property
    def headers(self) -> Carried:
        """The headers of the records that result from this work."""
        return [(HEADER, _traceparent(span)) for span in self._spans]

    def end(self, **attributes: str | int) -> None:
        for span in self._spans:
            span.set_attributes(attributes)
            span.end()

    def fail(self, error: BaseException) -> None:
        """End them as failed."""
        from opentelemetry.trace import StatusCode

        for span in self._spans:
            span.record_exception(error)
            span.set_status(StatusCode.ERROR, str(error))
            span.end()


NOTHING = Spans()


class Tracer:
    """Begins spans, and exports ended ones to the collector from a thread of its own."""

    def __init__(self, role: str, name: str) -> None:
        """Raises: NotInstalled."""
        if find_spec("opentelemetry.sdk") is None:
            raise NotInstalled(
                f"{' or '.join(ENDPOINTS)} is set, and OpenTelemetry's SDK is not installed: "
                "install kae[traces], or unset the variable"
            )
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        resource = {
            "service.namespace": "kae",
            "service.name": os.environ.get("OTEL_SERVICE_NAME") or f"kae-{role}",
            "service.instance.id": name,
            "service.version": version("kae"),
        }
        # OpenTelemetry's own variables configure sampler, limits and exporter.
        self._provider = TracerProvider(resource=Resource.create(resource))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("kae", version("kae"))
        self._context = TraceContextTextMapPropagator()

    def send(self, topic: str, key: str) -> Spans:
        """A span of a record that is published; it begins a trace."""
        from opentelemetry.trace import SpanKind

        attributes = {"messaging.kafka.message.key": key}
        return Spans([self._begin("send", topic, SpanKind.PRODUCER, None, attributes)])

    def process(self, records: Iterable[Traced]) -> Spans:
        """Spans of the records that carry a sampled trace; at most FOLLOWED_PER_DELTA."""
        from opentelemetry.trace import SpanKind

        spans: list[Span] = []
        for record in records:
            for parent in sampled(record.headers):
                position: dict[str, str | int] = {
                    "messaging.destination.partition.id": str(record.partition),
                    "messaging.kafka.offset": record.offset,
                }
                spans.append(
                    self._begin("process", record.topic, SpanKind.CONSUMER, parent, position)
                )
                if len(spans) == FOLLOWED_PER_DELTA:
                    return Spans(spans)
        return Spans(spans) if spans else NOTHING

    def close(self) -> None:
        """Export what has ended; waits no longer than the exporter's timeout."""
        self._provider.shutdown()

    def _begin(
        self,
        operation: str,
        topic: str,
        kind: "SpanKind",
        parent: bytes | None,
        attributes: Mapping[str, str | int],
    ) -> "Span":
        context = self._context.extract({HEADER: parent.decode()}) if parent else None
        return self._tracer.start_span(
            f"{operation} {topic}",
            context,
            kind,
            {
                "messaging.system": "kafka",
                "messaging.operation.type": operation,
                "messaging.destination.name": topic,
                **attributes,
            },
        )


@cache
def tracer(role: str, name: str) -> Tracer | None:
    """The one tracer of a process; None if its environment names no collector.

    Raises: NotInstalled when the extra `traces` is not installed.
    """
    return Tracer(role, name) if any(map(os.environ.get, ENDPOINTS)) else None


def sampled(headers: TraceHeaders) -> Iterator[bytes]:
    """The traces of a record that its producer sampled."""
    for name, value in headers:
        # The last bit of the flags says whether it is sampled.
        if name == HEADER and value and _SAMPLED.fullmatch(value):
            yield value


@contextmanager
def carrying(spans: Spans) -> Iterator[None]:
    """Records that this thread appends meanwhile carry these spans."""
    token = _carried.set(tuple(spans.headers))
    try:
        yield
    finally:
        _carried.reset(token)


def carried() -> Carried:
    """The headers for a record that is appended now."""
    return list(_carried.get())


def _traceparent(span: "Span") -> bytes:
    """Source: W3C Trace Context, section 3.2."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}".encode()
