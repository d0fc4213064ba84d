"""The metrics of one process, as Prometheus reads them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family

from kae.sinks.log.edits import Counts
from kae.streams.telemetry.metrics import METRICS, Face, Metric

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OUTCOMES = ("put", "dropped", "stale", "dead")


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one metric; the labels' values come in the order of the metric's labels."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()


class Meters:
    """What is bumped is kept here; what `read_from` is given is asked at each scrape.

    Bumping may be done from any thread, and `read` is called by the one that asks for the text.
    """

    def __init__(self, face: Face) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._bumped: dict[str, Any] = {
            metric.name: _bumped(metric, self._registry)
            for metric in METRICS
            if metric.face == face and metric.bumped
        }
        ProcessCollector(registry=self._registry)

    def read_from(self, read: Callable[[], Iterable[Sample]]) -> None:
        """Say where the rest comes from; called once."""
        self._registry.register(_Readings(read))

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        self._of(metric, labels).inc(by)

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        self._of(metric, labels).observe(value)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)

    def _of(self, metric: Metric, labels: tuple[str, ...]) -> Any:
        bumped = self._bumped[metric.name]
        return bumped.labels(*labels) if labels else bumped


class _Readings:
    """A collector of prometheus_client: a family for each metric that has samples."""

    def __init__(self, read: Callable[[], Iterable[Sample]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Family]:
        families: dict[str, Any] = {}
        for sample in self._read():
            metric = sample.metric
            family = families.setdefault(metric.name, _family(metric))
            family.add_metric(sample.labels, sample.value)
        yield from families.values()


def accounted(
    read: Metric, events: Metric, unbalanced: Metric, counts: Counts, *labels: str
) -> Iterator[Sample]:
    """Tell what became of source records, and whether that adds up."""
    became: Mapping[str, int] = {outcome: getattr(counts, outcome) for outcome in OUTCOMES}
    yield Sample(read, counts.read, labels)
    for outcome, count in became.items():
        yield Sample(events, count, (*labels, outcome))
    yield Sample(unbalanced, not counts.balanced, labels)


def _bumped(metric: Metric, registry: CollectorRegistry) -> Counter | Histogram:
    if metric.kind == "counter":
        return Counter(metric.name, metric.meaning, metric.labels, registry=registry)
    return Histogram(
        metric.name, metric.meaning, metric.labels, registry=registry, buckets=metric.buckets
    )


def _family(metric: Metric) -> Any:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return kind(metric.name, metric.meaning, labels=metric.labels)
