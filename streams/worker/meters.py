"""What a worker counts while it works: once a batch or a delta, never once an item."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter

from kae.sinks.log.ownership import Fenced
from kae.sinks.log.protocol import AppendUnknown
from kae.sinks.shard import SentDelta
from kae.sinks.store.disk import DiskFull
from kae.streams.telemetry import metrics
from kae.streams.telemetry.registry import MetricRegistry

_CAUSES = {Fenced: "fenced", AppendUnknown: "append_unknown", DiskFull: "disk_full"}
ENCODE, PLAN, APPEND_WAIT, APPLY = "encode", "plan", "append_wait", "apply"


class WorkerMeters(MetricRegistry):
    """The worker's meters, bumped by the threads that do the work."""

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

    def note_sent(self, sent: Mapping[int, SentDelta]) -> None:
        """Take notice of deltas that are on their way, by shard."""
        for partition, one in sent.items():
            shard = str(partition)
            self.count(metrics.WORKER_DELTAS, shard)
            self.count(metrics.WORKER_APPENDED, shard, by=sum(map(len, one.flight.payloads)))
            if one.plan.counts.read:
                self.observe(metrics.WORKER_BATCH_EVENTS, one.plan.counts.read)

    def note_lost(self, cause: Fenced | AppendUnknown | DiskFull) -> None:
        """Take notice of a shard that was given up."""
        name = next(name for kind, name in _CAUSES.items() if isinstance(cause, kind))
        self.count(metrics.WORKER_SHARDS_LOST, name)
