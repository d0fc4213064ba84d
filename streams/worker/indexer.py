"""Indexing: runs of item events become deltas, appended to the logs of their shards.

Everything here runs on one thread, the worker's shard thread.
"""

import itertools
import time
from collections.abc import Iterable, Mapping

import structlog

from kae.encoders.extraction.assign import Encoder
from kae.sinks.log.protocol import LogTruncated
from kae.sinks.store.plan import DeltaPlan, prepare
from kae.sinks.store.rocks import StoreUnusable
from kae.streams.clock import now_ms
from kae.streams.dead_letters import records
from kae.streams.dead_letters.poison import ItemBatch
from kae.streams.kafka.log import KafkaClients
from kae.streams.runtime import failpoints
from kae.streams.telemetry.traces import Tracer, carrying
from kae.streams.topology.types import Topology
from kae.streams.worker.admission import Admission, Run
from kae.streams.worker.batching import BatchSize
from kae.streams.worker.bindings import BindingsFollower
from kae.streams.worker.meters import ENCODE, PLAN, WorkerMeters
from kae.streams.worker.ownership import OwnedShards, ShardWorkResult
from kae.streams.worker.sources import SourceCheck

log = structlog.get_logger()


class Indexer:
    """Indexes item events in the shards that this worker owns."""

    def __init__(
        self,
        topology: Topology,
        encoder: Encoder,
        clients: KafkaClients,
        bindings: BindingsFollower,
        owned: OwnedShards,
        sources: SourceCheck,
        meters: WorkerMeters,
        tracer: Tracer | None,
    ) -> None:
        self._topology = topology
        self._encoder = encoder
        self._clients = clients
        self._bindings = bindings
        self._owned = owned
        self._sources = sources
        self._meters = meters
        self._tracer = tracer
        self._admission = Admission(topology, clients, owned.next_offset)
        self.batch_size = BatchSize(topology.worker.batch_events, reads_titles=encoder.reads_titles)

    def index(self, runs: Iterable[Run]) -> ShardWorkResult:
        """Apply the batch before this one, then append a delta to every shard that has news.

        The next call, or `OwnedShards.apply_appended`, applies those deltas. Decoding and encoding
        are most of the work and need no state, so they come first, while the brokers still store
        what the call before has appended.
        Raises: AppendUnknown when dead letters cannot be stored; LogTruncated.
        """
        with self._meters.stage(ENCODE):
            admitted = self._admission.admit(runs)
            batches = admitted.batches
            self._encode(batches.values())
        applied = self._owned.apply_appended()
        batches = {shard: batch for shard, batch in batches.items() if shard not in applied.lost}
        plans: dict[int, DeltaPlan] = {}
        with self._meters.stage(PLAN):
            for shard, batch in list(batches.items()):
                try:
                    plans[shard] = self._plan(shard, batch)
                except StoreUnusable as error:
                    applied = applied.and_then(self._owned.give_up(shard, error))
                    del batches[shard]
        self._publish_dead_letters(batches.values())
        self._append(plans, batches)
        # While the brokers store what was appended.
        indexed = self._owned.index_for_selectors()
        result = ShardWorkResult(admitted.seek).and_then(applied).and_then(indexed)
        return result.and_then(self._stop_at(admitted.gaps)) if admitted.gaps else result

    def _stop_at(self, gaps: Mapping[int, LogTruncated]) -> ShardWorkResult:
        """Stop the shards whose events the topic no longer holds.

        Raises: LogTruncated when it lacks them for another reason, such as damaged bytes.
        """
        result = self._sources.stop_broken()
        for shard in (gaps.keys() & self._owned.shards.keys()) - self._owned.held():
            raise gaps[shard]
        return result

    def _encode(self, batches: Iterable[ItemBatch]) -> None:
        """Encode the items of all shards at once; if that fails, those of each shard alone."""
        batches = list(batches)
        if self._tracer is not None:
            for batch in batches:
                batch.spans = self._tracer.process(batch.records)
        began = time.monotonic()
        changes = [change for batch in batches for change in batch.changes]
        try:
            prepared = iter(prepare(changes, self._encoder))
            for batch in batches:
                batch.prepared = list(itertools.islice(prepared, len(batch.changes)))
        except Exception as error:
            log.warning("batch_parted", shards=len(batches), error=repr(error))
            for batch in batches:
                self._encode_alone(batch)
        events = sum(len(batch.changes) for batch in batches)
        self.batch_size.adapt(events, time.monotonic() - began)

    def _encode_alone(self, batch: ItemBatch) -> None:
        changes = batch.changes
        batch.prepared = batch.without_poison(
            lambda places: prepare([changes[place] for place in places], self._encoder)
        )

    def _plan(self, partition: int, batch: ItemBatch) -> DeltaPlan:
        shard, prepared = self._owned.shards[partition], batch.prepared
        selectors = self._bindings.at_least(shard.source.bindings_version).selectors
        return batch.without_poison(
            lambda places: shard.plan_items([prepared[place] for place in places], selectors)
        )

    def _publish_dead_letters(self, batches: Iterable[ItemBatch]) -> None:
        """Store dead letters before the deltas that count them are appended."""
        dead = [letter for batch in batches for letter in batch.dead]
        if dead:
            topic = self._topology.dead_letters_topic
            timeout = self._topology.kafka.delivery_timeout_seconds
            records.publish_dead_letters(self._clients, topic, dead, timeout)

    def _append(self, plans: Mapping[int, DeltaPlan], batches: Mapping[int, ItemBatch]) -> None:
        failpoints.reach(failpoints.BEFORE_APPEND)
        at_ms = now_ms()
        appends = []
        for partition, batch in batches.items():
            shard = self._owned.shards[partition]
            with carrying(batch.spans):
                delta = shard.append_items(
                    plans[partition], len(batch.dead), batch.next_offset, at_ms
                )
            self._owned.note_appended(partition, delta, batch.spans)
            appends.append(delta.appending)
        failpoints.when_acknowledged(appends)
