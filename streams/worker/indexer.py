"""The indexer: runs of item events in, deltas appended and applied.

Everything here runs on one thread, the worker's shard thread, so shards need no locks.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set

import structlog

from kae.encoders.extraction.assign import Encoder
from kae.sinks.log.ownership import Fenced
from kae.sinks.log.protocol import AppendUnknown
from kae.sinks.shard import SentDelta
from kae.sinks.store.disk import DiskFull
from kae.sinks.store.plan import DeltaPlan, prepare
from kae.streams.clock import now_ms
from kae.streams.control.records import Reached, send_reached
from kae.streams.dead_letters import records
from kae.streams.dead_letters.poison import ItemBatch
from kae.streams.kafka.log import KafkaClients
from kae.streams.runtime import failpoints
from kae.streams.telemetry.traces import NOTHING, Spans, Tracer, carrying
from kae.streams.topology.types import Topology
from kae.streams.worker.admission import Admission, Run
from kae.streams.worker.batching import BatchSize
from kae.streams.worker.bindings_follower import BindingsFollower
from kae.streams.worker.meters import APPEND_WAIT, APPLY, ENCODE, PLAN, WorkerMeters
from kae.streams.worker.ownership import OwnedShards, ShardWorkResult

log = structlog.get_logger()
BINDINGS_WAIT_SECONDS = 30.0
# What is indexed for selectors at one go: some 4 ms.
REST_ITEMS = 256


class Indexer:
    """Feeds the shards that this worker holds, and carries bindings to them."""

    def __init__(
        self,
        topology: Topology,
        encoder: Encoder,
        clients: KafkaClients,
        bindings: BindingsFollower,
        held: OwnedShards,
        meters: WorkerMeters,
        tracer: Tracer | None = None,
    ) -> None:
        self._topology = topology
        self._encoder = encoder
        self._clients = clients
        self._bindings = bindings
        self._held = held
        self._meters = meters
        self._tracer = tracer
        self._admission = Admission(topology, clients, self._next_offset)
        self._in_flight: dict[int, SentDelta] = {}
        self._spans: dict[int, Spans] = {}  # of what is in flight
        self.pace = BatchSize(topology.worker.batch_events, reads_titles=encoder.reads_titles)

    def own(self, wanted: Set[int]) -> ShardWorkResult:
        """Hold exactly these shards, up to date with the bindings.

        Those that find no room on the disk are among the lost.
        Raises: AppendUnknown when a claim is not acknowledged; what is held by then stays held.
        """
        self.land()
        return self._held.own(wanted).and_then(self.spread())

    def close(self) -> None:
        self.own(frozenset())

    # Items.

    def index(self, runs: Iterable[Run]) -> ShardWorkResult:
        """Plan a batch and append it for every shard; `land`, or the next batch, applies it.

        Decoding and encoding, most of the work, need no state: they are done while the batch before
        is being stored.
        Raises: AppendUnknown when dead letters cannot be stored; LogTruncated.
        """
        with self._meters.stage(ENCODE):
            batches, seek = self._admission.admit(runs)
            if self._tracer is not None:
                for batch in batches.values():
                    batch.spans = self._tracer.process(batch.records)
            began = time.monotonic()
            self._encode(list(batches.values()))
            events = sum(len(batch.changes) for batch in batches.values())
            self.pace.took(events, time.monotonic() - began)
        landed = self.land()
        for partition in landed.lost:
            batches.pop(partition, None)
        with self._meters.stage(PLAN):
            plans = {shard: self._plan(shard, batch) for shard, batch in batches.items()}
        self._bury(batches)
        self._send(plans, batches)
        self.rest()  # while the brokers store what was sent
        return ShardWorkResult(seek).and_then(landed)

    def when_answered(self, call: Callable[[], object]) -> None:
        """Call, from any thread, when `land` need not wait for any broker."""
        flights = [sent.flight.appending for sent in self._in_flight.values()]
        left = itertools.count(len(flights) - 1, -1)

        def count() -> None:
            if next(left) == 0:
                call()

        for appending in flights:
            appending.on_done(count)

    def land(self) -> ShardWorkResult:
        """Wait for what is in flight and apply it."""
        sent, self._in_flight = self._in_flight, {}
        return self.settle(sent)

    def _next_offset(self, partition: int) -> int | None:
        """The source record after those that are applied or in flight, if the shard indexes any."""
        shard = self._held.shards.get(partition)
        if shard is None or shard.source.paused:
            return None
        sent = self._in_flight.get(partition)
        return sent.next_offset if sent else shard.next_offset

    def _encode(self, batches: Sequence[ItemBatch]) -> None:
        """Encode the items of all shards as one; if that fails, each shard's by itself."""
        changes = [change for batch in batches for change in batch.changes]
        try:
            prepared = iter(prepare(changes, self._encoder))
        except Exception as error:
            log.warning("batch_parted", shards=len(batches), error=repr(error))
            for batch in batches:
                self._encode_alone(batch)
            return
        for batch in batches:
            batch.prepared = list(itertools.islice(prepared, len(batch.changes)))

    def _encode_alone(self, batch: ItemBatch) -> None:
        changes = batch.changes
        batch.prepared = batch.without_poison(
            lambda places: prepare([changes[place] for place in places], self._encoder)
        )

    def _plan(self, partition: int, batch: ItemBatch) -> DeltaPlan:
        shard, prepared = self._held.shards[partition], batch.prepared
        version = shard.store.state.source.bindings_version
        selectors = self._bindings.at_least(version, BINDINGS_WAIT_SECONDS).selectors
        return batch.without_poison(
            lambda places: shard.plan_items([prepared[place] for place in places], selectors)
        )

    def _bury(self, batches: Mapping[int, ItemBatch]) -> None:
        """Store dead letters before the deltas that count them."""
        letters = [letter for batch in batches.values() for letter in batch.dead]
        if letters:
            topic = self._topology.dead_letters_topic
            timeout = self._topology.kafka.delivery_timeout_seconds
            records.publish_dead_letters(self._clients, topic, letters, timeout)

    def _send(self, plans: Mapping[int, DeltaPlan], batches: Mapping[int, ItemBatch]) -> None:
        failpoints.reach(failpoints.BEFORE_APPEND)
        at_ms = now_ms()
        for partition, batch in batches.items():
            with carrying(batch.spans):
                self._in_flight[partition] = self._held.shards[partition].append_items(
                    plans[partition], len(batch.dead), batch.next_offset, at_ms
                )
            self._spans[partition] = batch.spans
        self._meters.note_sent(self._in_flight)
        failpoints.when_stored(sent.flight.appending for sent in self._in_flight.values())

    # Bindings.

    def spread(self) -> ShardWorkResult:
        """Carry the newest bindings to every shard, those included that no item matches."""
        outcome = self.land()
        view = self._bindings.view
        sent: dict[int, SentDelta] = {}
        for partition, shard in self._held.shards.items():
            news = shard.append_bindings(view.bindings, view.selectors, now_ms())
            if news is not None:
                sent[partition] = news
        self._meters.note_sent(sent)
        settled = self.settle(sent)
        for partition in sent.keys() - settled.lost.keys():
            topic = self._topology.control_topic
            send_reached(self._clients.producer, topic, self.reached(partition))
        return outcome.and_then(settled)

    def reached(self, partition: int) -> Reached:
        """What the control topic is told of an open shard."""
        version = self._held.shards[partition].source.bindings_version
        # One that was opened just now may have attached what is not followed yet.
        bindings = self._bindings.at_least(version, BINDINGS_WAIT_SECONDS).bindings
        return self._held.reached(partition, sorted(bindings.pending_with_plan()))

    def rest(self) -> None:
        """Use a moment to index items for selectors, those of the shard where most are waiting."""
        indexes = [shard.selector_index for shard in self._held.shards.values()]
        if indexes:
            max(indexes, key=lambda one: one.pending).refresh(REST_ITEMS)

    @property
    def has_waiting(self) -> bool:
        """Whether items wait to be indexed for selectors; may be asked by any thread."""
        return any(shard.selector_index.pending for shard in self._held.shards.copy().values())

    # Both.

    def settle(self, sent: Mapping[int, SentDelta]) -> ShardWorkResult:
        """Wait for appends and apply them; a shard whose append is in doubt is given up."""
        outcome = ShardWorkResult()
        for partition, one in sent.items():
            spans = self._spans.pop(partition, NOTHING)
            try:
                with self._meters.stage(APPEND_WAIT):
                    one.flight.appending.offsets()
                failpoints.reach(failpoints.ACKNOWLEDGED)
                with self._meters.stage(APPLY):
                    self._held.shards[partition].settle(one)
                spans.end(**{"kae.shard": partition, "kae.version": one.version})
            except (Fenced, AppendUnknown, DiskFull) as error:
                spans.fail(error)
                outcome = outcome.and_then(self._held.give_up(partition, error))
        if sent:
            failpoints.reach(failpoints.APPLIED)
        return outcome
