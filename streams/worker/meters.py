"""What a worker counts while it works: for each batch or delta, never for each item."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from kae.sinks.log.ownership import Fenced, UnappliedDelta
from kae.sinks.log.protocol import AppendUnknown, LogTruncated
from kae.sinks.store.disk import DiskFull
from kae.sinks.store.rocks import StoreDamaged, StoreUnusable
from kae.streams.telemetry import metrics
from kae.streams.telemetry.registry import MetricRegistry

LossCause = Fenced | AppendUnknown | DiskFull | StoreUnusable | LogTruncated
_CAUSES = {
    Fenced: "fenced",
    AppendUnknown: "append_unknown",
    DiskFull: "disk_full",
    StoreDamaged: "store_damaged",  # before what it is a kind of
    StoreUnusable: "store_unusable",
    LogTruncated: "log_truncated",
}
ENCODE, PLAN, APPEND_WAIT, APPLY = "encode", "plan", "append_wait", "apply"


class WorkerMeters(MetricRegistry):
    """The worker's meters; the threads that do the work count."""

    def __init__(self) -> None:
        super().__init__("worker")

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage of a batch."""
        began = perf_counter()
        try:
            yield
        finally:
            self.observe(metrics.WORKER_STAGE, perf_counter() - began, name)

    def count_appended(self, partition: int, delta: UnappliedDelta) -> None:
        shard = str(partition)
        self.count(metrics.WORKER_DELTAS, shard)
        self.count(metrics.WORKER_APPENDED, shard, by=sum(map(len, delta.payloads)))
        if delta.counts.read:
            self.observe(metrics.WORKER_BATCH_EVENTS, delta.counts.read)

    def count_lost(self, cause: LossCause) -> None:
        """Count a shard that was given up."""
        name = next(name for kind, name in _CAUSES.items() if isinstance(cause, kind))
        self.count(metrics.WORKER_SHARDS_LOST, name)
