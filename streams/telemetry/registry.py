"""The metrics of one process, as Prometheus scrapes them."""

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
from kae.streams.telemetry.metrics import METRICS, Metric, MetricProcess

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OUTCOMES = ("put", "dropped", "stale", "dead", "lost")


@dataclass(frozen=True, slots=True)
class MetricSample:
    """One value of one metric; the label values are in the order of the metric's labels."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()


class MetricRegistry:
    """Keeps the metrics that are recorded; the others are read at each scrape.

    `count` and `observe` may be called from any thread. The function that `collect_from` takes is
    called by the thread that calls `text`.
    """

    def __init__(self, process: MetricProcess) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._recorded: dict[str, Any] = {
            metric.name: _recorder(metric, self._registry)
            for metric in METRICS
            if metric.process == process and metric.recorded
        }
        ProcessCollector(registry=self._registry)

    def collect_from(self, read: Callable[[], Iterable[MetricSample]]) -> None:
        """Set the function that reads the other metrics; called once."""
        self._registry.register(_Collector(read))

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        self._of(metric, labels).inc(by)

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        self._of(metric, labels).observe(value)

    def text(self) -> bytes:
        """All metrics, in Prometheus' text format."""
        return generate_latest(self._registry)

    def _of(self, metric: Metric, labels: tuple[str, ...]) -> Any:
        recorder = self._recorded[metric.name]
        return recorder.labels(*labels) if labels else recorder


class _Collector:
    """A collector for prometheus_client: one family for each metric that has samples."""

    def __init__(self, read: Callable[[], Iterable[MetricSample]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Family]:
        families: dict[str, Any] = {}
        for sample in self._read():
            metric = sample.metric
            family = families.setdefault(metric.name, _family(metric))
            family.add_metric(sample.labels, sample.value)
        yield from families.values()


def accounting_samples(
    read: Metric, events: Metric, unbalanced: Metric, counts: Counts, *labels: str
) -> Iterator[MetricSample]:
    """What became of source records, and whether these add up."""
    outcomes: Mapping[str, int] = {outcome: getattr(counts, outcome) for outcome in OUTCOMES}
    yield MetricSample(read, counts.read, labels)
    for outcome, count in outcomes.items():
        yield MetricSample(events, count, (*labels, outcome))
    yield MetricSample(unbalanced, not counts.balanced, labels)


def _recorder(metric: Metric, registry: CollectorRegistry) -> Counter | Histogram:
    if metric.kind == "counter":
        return Counter(metric.name, metric.meaning, metric.labels, registry=registry)
    return Histogram(
        metric.name, metric.meaning, metric.labels, registry=registry, buckets=metric.buckets
    )


def _family(metric: Metric) -> Any:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return kind(metric.name, metric.meaning, labels=metric.labels)
