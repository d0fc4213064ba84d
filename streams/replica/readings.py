"""The metrics of a replica that are read at each scrape, from the view in use."""

from collections.abc import Iterator

from kae.sinks.store.disk import disk_space
from kae.streams.clock import now_ms
from kae.streams.replica.freshness import FreshnessGauge
from kae.streams.replica.index import ReplicaIndex
from kae.streams.replica.view import View
from kae.streams.replica_api.status import Freshness
from kae.streams.telemetry import metrics
from kae.streams.telemetry.registry import MetricRegistry, MetricSample, accounting_samples


class ReplicaReadings:
    """Read by the server's threads; each scrape takes one view."""

    def __init__(self, name: str, index: ReplicaIndex, gauge: FreshnessGauge) -> None:
        self._name = name
        self._index = index
        self._gauge = gauge

    def samples(self, now: float) -> Iterator[MetricSample]:
        view, freshness = self._index.view, self._gauge.reading(now)
        yield MetricSample(
            metrics.REPLICA_INFO, 1, (self._name, str(view.generation), self._index.fingerprint)
        )
        yield from _freshness(freshness)
        yield MetricSample(metrics.REPLICA_BOOTSTRAP_LAG, _bootstrap_lag(view, freshness))
        yield MetricSample(metrics.REPLICA_BINDINGS_VERSION, view.bindings.version)
        yield MetricSample(metrics.REPLICA_BINDINGS, len(view.bindings.bound))
        yield MetricSample(metrics.REPLICA_ITEMS, view.items)
        yield MetricSample(metrics.REPLICA_PATHS, view.trie.path_count)
        yield MetricSample(metrics.REPLICA_IGNORED, self._index.ignored)
        yield from self._shards(view)
        yield from accounting_samples(
            metrics.REPLICA_TERMS_READ,
            metrics.REPLICA_TERMS,
            metrics.REPLICA_TERMS_UNBALANCED,
            view.bindings.counts,
        )
        room = disk_space(self._index.folder)
        yield MetricSample(metrics.REPLICA_DISK, room.size)
        yield MetricSample(metrics.REPLICA_DISK_FREE, room.free)
        yield MetricSample(metrics.REPLICA_DISK_FULL, bool(self._index.disk.reason))

    def _shards(self, view: View) -> Iterator[MetricSample]:
        for shard, reader in enumerate(view.shards):
            labels = (str(shard),)
            yield MetricSample(metrics.REPLICA_VERSION, reader.state.version, labels)
            yield MetricSample(metrics.REPLICA_PAUSED, reader.state.source.paused, labels)
            yield MetricSample(metrics.REPLICA_STOPPED, bool(reader.state.source.stopped), labels)
            yield MetricSample(metrics.REPLICA_STORE, self._index.store_bytes(shard), labels)
            yield from accounting_samples(
                metrics.REPLICA_READ,
                metrics.REPLICA_EVENTS,
                metrics.REPLICA_UNBALANCED,
                reader.state.counts,
                *labels,
            )


def observe_view(registry: MetricRegistry, view: View, *, caught_up: bool) -> None:
    """Count a view that came into use, and observe how long it took."""
    registry.count(metrics.REPLICA_VIEWS)
    registry.observe(metrics.REPLICA_VIEW_BUILD, view.built_seconds)
    if caught_up and view.oldest_delta_ms is not None:
        late_ms = max(0, view.swapped_ms - view.oldest_delta_ms)
        registry.observe(metrics.REPLICA_APPLY_LAG, late_ms / 1000)


def _bootstrap_lag(view: View, freshness: Freshness) -> float:
    if freshness.age_seconds is not None:
        return 0.0
    if view.oldest_delta_ms is None:
        return -1.0
    return max(0, now_ms() - view.oldest_delta_ms) / 1000


def _freshness(freshness: Freshness) -> Iterator[MetricSample]:
    age = freshness.age_seconds
    yield MetricSample(metrics.REPLICA_READY, freshness.ready)
    yield MetricSample(metrics.REPLICA_AGE, -1 if age is None else age)
    yield MetricSample(metrics.REPLICA_FRESH_WITHIN, freshness.within_seconds)
    yield MetricSample(metrics.REPLICA_BEHIND, freshness.behind_records)
