"""What /metrics tells, in full:

kae_replica_bindings_version          version of the bindings log that the view holds
kae_replica_shard_version{shard}      version of each shard's log that the view holds
kae_replica_items                     live items
kae_replica_paths                     paths by which they can be decoded
kae_replica_bindings                  active bindings
kae_replica_view_age_seconds          since the view was known to be complete (-1: never yet)
kae_replica_behind_records            records that the logs held then and the view did not
kae_replica_views_total               views put in use
kae_replica_view_build_seconds        histogram: building one
kae_replica_search_seconds            histogram: answering one /search
kae_replica_requests_total{route,status}
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from kae.streams.replica.freshness import Freshness
from kae.streams.replica.view import View

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """The metrics of one replica, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._bindings_version = self._gauge("bindings_version", "Bindings version in the view.")
        self._shard_version = Gauge(
            "kae_replica_shard_version", "Shard version in the view.", ["shard"],
            registry=self._registry,
        )  # fmt: skip
        self._items = self._gauge("items", "Live items.")
        self._paths = self._gauge("paths", "Paths by which live items can be decoded.")
        self._bindings = self._gauge("bindings", "Active bindings.")
        self._age = self._gauge("view_age_seconds", "Since the view was known to be complete.")
        self._behind = self._gauge("behind_records", "Records that the view does not hold.")
        self._views = Counter("kae_replica_views", "Views put in use.", registry=self._registry)
        self._build = self._histogram("view_build_seconds", "Building a view.")
        self.search = self._histogram("search_seconds", "Answering one search.")
        self._requests = Counter(
            "kae_replica_requests", "Requests answered.", ["route", "status"],
            registry=self._registry,
        )  # fmt: skip

    def note_view(self, view: View) -> None:
        self._bindings_version.set(view.bindings.version)
        for shard, version in enumerate(view.versions):
            self._shard_version.labels(str(shard)).set(version)
        self._items.set(view.items)
        self._paths.set(view.trie.paths)
        self._bindings.set(len(view.bindings.active))
        self._views.inc()
        self._build.observe(view.built_seconds)

    def note_request(self, route: str, status: int) -> None:
        self._requests.labels(route, str(status)).inc()

    def text(self, freshness: Freshness) -> bytes:
        """Everything, in Prometheus' text format."""
        self._age.set(-1 if freshness.age_seconds is None else freshness.age_seconds)
        self._behind.set(freshness.behind_records)
        return generate_latest(self._registry)

    def _gauge(self, name: str, what: str) -> Gauge:
        return Gauge(f"kae_replica_{name}", what, registry=self._registry)

    def _histogram(self, name: str, what: str) -> Histogram:
        return Histogram(f"kae_replica_{name}", what, buckets=_SECONDS, registry=self._registry)
