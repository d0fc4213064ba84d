"""Every metric of kae, defined once: its name, kind, unit, labels and meaning.

The objects of prometheus_client (registry.py), docs/metrics.md (docs/generate/metrics_page.py) and
the tests are made from this list. A metric that ends in `_total` never falls while a process runs.
Counts of events are those of the logs, so they continue when a shard moves or a process restarts.

Labels: `shard` and `position` are numbers, `outcome` is what became of a source record (put,
dropped, stale, dead, lost), `stage` is a step of a batch, `cause` is why a shard was lost.
"""

from dataclasses import dataclass
from typing import Literal

MetricProcess = Literal["worker", "replica"]
MetricKind = Literal["gauge", "counter", "histogram"]
# Upper bounds of the histograms' buckets.
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
EVENTS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. If `recorded`, it is counted as it happens; else it is read at each scrape."""

    name: str
    kind: MetricKind
    unit: str
    labels: tuple[str, ...]
    meaning: str
    recorded: bool = False
    buckets: tuple[float, ...] = ()

    @property
    def process(self) -> MetricProcess:
        """The process that exposes it."""
        return "worker" if self.name.startswith("kae_worker_") else "replica"


METRICS: list[Metric] = []


def _register(metric: Metric) -> Metric:
    METRICS.append(metric)
    return metric


def _gauge(name: str, unit: str, meaning: str, *labels: str) -> Metric:
    return _register(Metric(name, "gauge", unit, labels, meaning))


def _log_counter(name: str, unit: str, meaning: str, *labels: str) -> Metric:
    """A counter whose value is read from a log."""
    return _register(Metric(name, "counter", unit, labels, meaning))


def _counter(name: str, unit: str, meaning: str, *labels: str) -> Metric:
    return _register(Metric(name, "counter", unit, labels, meaning, recorded=True))


def _histogram(name: str, unit: str, meaning: str, *labels: str) -> Metric:
    buckets = SECONDS if unit == "seconds" else EVENTS
    return _register(
        Metric(name, "histogram", unit, labels, meaning, recorded=True, buckets=buckets)
    )


# ---------------------------------------------------------------- the worker as a whole

WORKER_INFO = _gauge(
    "kae_worker_info", "1", "Which worker this is.", "worker", "generation", "codebook"
)
WORKER_READY = _gauge(
    "kae_worker_ready", "0 or 1", "Whether it holds all that is assigned to it, as /readyz says."
)
WORKER_SHARDS = _gauge("kae_worker_shards", "shards", "Shards that it holds.")
WORKER_GENERATION_SHARDS = _gauge(
    "kae_worker_generation_shards",
    "shards",
    "Shards of the generation: what all workers hold together.",
)
WORKER_UNREAD_PARTITIONS = _gauge(
    "kae_worker_unread_partitions",
    "partitions",
    "Partitions that were added to the items or the terms topic and that the generation does not "
    "read.",
)
WORKER_UNREAD_EVENTS = _gauge("kae_worker_unread_events", "events", "Events in those partitions.")
WORKER_BEHAVIOURS = _log_counter(
    "kae_worker_behaviours_total",
    "events",
    "Records that the behaviours topic has taken, by its end offsets (0 without the topic); each "
    "worker tells the same.",
)
WORKER_BEHAVIOURS_HELD = _gauge(
    "kae_worker_behaviours_held",
    "events",
    "Those that time has not deleted yet; compaction may have removed some.",
)
WORKER_REGISTRAR = _gauge("kae_worker_registrar", "0 or 1", "Whether it is the registrar.")
WORKER_LAG_LIMIT = _gauge(
    "kae_worker_lag_limit_seconds", "seconds", "limits.lag_seconds of topology.yaml."
)
WORKER_REBALANCES = _counter(
    "kae_worker_rebalances_total", "times", "Assignments that it got from the group."
)
WORKER_SHARDS_LOST = _counter(
    "kae_worker_shards_lost_total",
    "times",
    "Shards that it gave up on its own: fenced, append_unknown, disk_full, store_damaged, "
    "store_unusable or log_truncated.",
    "cause",
)
WORKER_PRODUCERS_RENEWED = _log_counter(
    "kae_worker_producers_renewed_total",
    "times",
    "Producers replaced after an append with an unknown outcome.",
)
WORKER_SEEKS = _counter(
    "kae_worker_seeks_total", "times", "Seeks back to records that had arrived out of order."
)
WORKER_DISK = _gauge("kae_worker_disk_bytes", "bytes", "Size of the disk that has the stores.")
WORKER_DISK_FREE = _gauge("kae_worker_disk_free_bytes", "bytes", "Free space on it.")
WORKER_DISK_FULL = _gauge(
    "kae_worker_disk_full", "0 or 1", "Whether shards were given up because the disk is full."
)
# ---------------------------------------------------------------- the worker's batches

WORKER_BATCH_EVENTS = _histogram(
    "kae_worker_batch_events", "events", "Item events in one shard's delta."
)
WORKER_STAGE = _histogram(
    "kae_worker_stage_seconds",
    "seconds",
    "One stage of a batch: encode (decoding too) and plan for all its shards, append_wait and "
    "apply for each shard's delta.",
    "stage",
)
# ---------------------------------------------------------------- the worker's shards

WORKER_EPOCH = _gauge(
    "kae_worker_shard_epoch", "epoch", "The epoch of its claim on the shard's log.", "shard"
)
WORKER_VERSION = _gauge(
    "kae_worker_shard_version", "version", "Version of the log that the store is at.", "shard"
)
WORKER_BINDINGS_VERSION = _gauge(
    "kae_worker_shard_bindings_version", "version", "Bindings that the shard has reached.", "shard"
)
WORKER_LIVE = _gauge("kae_worker_shard_items", "items", "Live items.", "shard")
WORKER_NEXT_OFFSET = _gauge(
    "kae_worker_shard_next_offset",
    "offset",
    "Offset of the items topic that the shard continues at.",
    "shard",
)
WORKER_PAUSED = _gauge(
    "kae_worker_shard_paused",
    "0 or 1",
    "Whether it indexes no items until it is resumed (`kae shard resume`).",
    "shard",
)
WORKER_STOPPED = _gauge(
    "kae_worker_shard_stopped",
    "0 or 1",
    "Whether it indexes no items until it is reset (`kae shard reset`): the items topic does not "
    "continue where the shard stands.",
    "shard",
)
WORKER_HIGHWATER = _gauge(
    "kae_worker_shard_highwater_offset", "offset", "End offset of the shard's items.", "shard"
)
WORKER_LAG_EVENTS = _gauge(
    "kae_worker_shard_lag_events",
    "events",
    "Offsets between the two; 0 when no event is left.",
    "shard",
)
WORKER_LAG_SECONDS = _gauge(
    "kae_worker_shard_lag_seconds",
    "seconds",
    "Age of the oldest event that is not indexed yet.",
    "shard",
)
WORKER_READ = _log_counter(
    "kae_worker_shard_read_total", "events", "Source records that the log accounts for.", "shard"
)
WORKER_EVENTS = _log_counter(
    "kae_worker_shard_events_total", "events", "What became of them.", "shard", "outcome"
)
WORKER_UNBALANCED = _gauge(
    "kae_worker_shard_unbalanced",
    "0 or 1",
    "1: read is not put + dropped + stale + dead + lost in the store.",
    "shard",
)
WORKER_DELTAS = _counter(
    "kae_worker_shard_deltas_total", "deltas", "Deltas sent to the shard's log.", "shard"
)
WORKER_APPENDED = _counter(
    "kae_worker_shard_appended_bytes_total", "bytes", "Bytes of those deltas.", "shard"
)
WORKER_POSTINGS_WAITING = _gauge(
    "kae_worker_shard_postings_waiting", "items", "Items whose postings are not built yet.", "shard"
)
WORKER_POSTINGS = _gauge(
    "kae_worker_shard_postings_bytes", "bytes", "Memory of the postings.", "shard"
)
WORKER_STORE = _gauge("kae_worker_shard_store_bytes", "bytes", "Disk space of the store.", "shard")
# ---------------------------------------------------------------- the worker's snapshots

WORKER_SNAPSHOT_EVERY = _gauge(
    "kae_worker_snapshot_every_seconds",
    "seconds",
    "snapshots.every_seconds of topology.yaml (0: no snapshots.url).",
)
WORKER_SNAPSHOT_AGE = _gauge(
    "kae_worker_shard_snapshot_age_seconds",
    "seconds",
    "Age of the shard's newest snapshot; 0 if nothing has changed since, -1 if there is none.",
    "shard",
)
WORKER_SNAPSHOTS = _counter("kae_worker_snapshots_total", "snapshots", "Snapshots that it took.")
WORKER_SNAPSHOTS_FAILED = _counter(
    "kae_worker_snapshots_failed_total", "snapshots", "Snapshots that failed."
)
WORKER_SNAPSHOT_SENT = _counter(
    "kae_worker_snapshot_sent_bytes_total", "bytes", "Bytes that were uploaded for them."
)
# ---------------------------------------------------------------- the registrar

WORKER_TERMS_READ = _log_counter(
    "kae_worker_terms_read_total", "events", "Term events that the bindings log accounts for."
)
WORKER_TERMS = _log_counter(
    "kae_worker_terms_total", "events", "What became of them; put is bound.", "outcome"
)
WORKER_TERMS_STOPPED = _gauge(
    "kae_worker_terms_stopped",
    "0 or 1",
    "Whether it registers no term events: the terms topic does not continue where it stands.",
)
WORKER_TERMS_UNBALANCED = _gauge(
    "kae_worker_terms_unbalanced", "0 or 1", "As kae_worker_shard_unbalanced, for term events."
)
WORKER_TERMS_REFUSED = _counter(
    "kae_worker_terms_refused_total", "events", "Term events refused because no slot was free."
)
WORKER_SLOTS = _gauge(
    "kae_worker_slots_reserved", "slots", "Slots for terms, by position.", "position"
)
WORKER_SLOTS_FREE = _gauge(
    "kae_worker_slots_free", "slots", "Those neither bound nor in quarantine.", "position"
)
# ---------------------------------------------------------------- the replica

REPLICA_INFO = _gauge(
    "kae_replica_info", "1", "Which replica this is.", "replica", "generation", "codebook"
)
REPLICA_READY = _gauge("kae_replica_ready", "0 or 1", "Whether its view is fresh, as /readyz says.")
REPLICA_AGE = _gauge(
    "kae_replica_view_age_seconds",
    "seconds",
    "Time since the view was known to be complete (-1: never).",
)
REPLICA_FRESH_WITHIN = _gauge(
    "kae_replica_fresh_within_seconds", "seconds", "replica.fresh_within_seconds of topology.yaml."
)
REPLICA_BEHIND = _gauge(
    "kae_replica_behind_records", "records", "Records that the logs had then and the view did not."
)
REPLICA_BINDINGS_VERSION = _gauge(
    "kae_replica_bindings_version", "version", "Version of the bindings log in the view."
)
REPLICA_BINDINGS = _gauge("kae_replica_bindings", "bindings", "Active bindings.")
REPLICA_ITEMS = _gauge("kae_replica_items", "items", "Live items.")
REPLICA_PATHS = _gauge("kae_replica_paths", "paths", "Paths that lead to them.")
REPLICA_VERSION = _gauge(
    "kae_replica_shard_version", "version", "Version of the log in the view.", "shard"
)
REPLICA_PAUSED = _gauge(
    "kae_replica_shard_paused", "0 or 1", "As kae_worker_shard_paused, in the view.", "shard"
)
REPLICA_STOPPED = _gauge(
    "kae_replica_shard_stopped", "0 or 1", "As kae_worker_shard_stopped, in the view.", "shard"
)
REPLICA_READ = _log_counter(
    "kae_replica_shard_read_total", "events", "Source records that the log accounts for.", "shard"
)
REPLICA_EVENTS = _log_counter(
    "kae_replica_shard_events_total", "events", "What became of them.", "shard", "outcome"
)
REPLICA_UNBALANCED = _gauge(
    "kae_replica_shard_unbalanced",
    "0 or 1",
    "1: read is not put + dropped + stale + dead + lost in the replica's own fold of the log.",
    "shard",
)
REPLICA_STORE = _gauge(
    "kae_replica_shard_store_bytes", "bytes", "Disk space of the store.", "shard"
)
REPLICA_TERMS_READ = _log_counter(
    "kae_replica_terms_read_total", "events", "Term events that the bindings log accounts for."
)
REPLICA_TERMS = _log_counter(
    "kae_replica_terms_total", "events", "What became of them; put is bound.", "outcome"
)
REPLICA_TERMS_UNBALANCED = _gauge(
    "kae_replica_terms_unbalanced", "0 or 1", "As kae_replica_shard_unbalanced, for term events."
)
REPLICA_IGNORED = _log_counter(
    "kae_replica_ignored_records_total", "records", "Records of the logs that did not count."
)
REPLICA_DISK = _gauge("kae_replica_disk_bytes", "bytes", "Size of the disk that has the stores.")
REPLICA_DISK_FREE = _gauge("kae_replica_disk_free_bytes", "bytes", "Free space on it.")
REPLICA_DISK_FULL = _gauge(
    "kae_replica_disk_full", "0 or 1", "Whether it waits for free space before it applies more."
)
REPLICA_VIEWS = _counter("kae_replica_views_total", "views", "Views put in use.")
REPLICA_VIEW_BUILD = _histogram("kae_replica_view_build_seconds", "seconds", "Building a view.")
REPLICA_APPLY_LAG = _histogram(
    "kae_replica_apply_lag_seconds",
    "seconds",
    "From the planning of a view's oldest delta by a worker until the view was in use.",
)
REPLICA_BOOTSTRAP_LAG = _gauge(
    "kae_replica_bootstrap_lag_seconds",
    "seconds",
    "How old the newest deltas of its view are until it has caught up (-1: none yet); then 0.",
)
REPLICA_SEARCH = _histogram("kae_replica_search_seconds", "seconds", "Answering one /search.")
REPLICA_DECODE = _histogram(
    "kae_replica_decode_seconds",
    "seconds",
    "The part of a /search until every identifier is decoded.",
)
REPLICA_UNKNOWN_WORDS = _counter(
    "kae_replica_unknown_words_total",
    "words",
    "Words of queries that neither the codebook nor a term has, if /unknown-words counts them.",
)
REPLICA_REQUESTS = _counter(
    "kae_replica_requests_total", "requests", "Requests answered.", "route", "status"
)
