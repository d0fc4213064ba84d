"""The shards of one worker: batches of records in, deltas appended and applied.

Everything here runs on one thread, the worker's shard thread, so shards need no locks.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import structlog

from kae.sinks import keys
from kae.sinks.log import AppendUnknown
from kae.sinks.owned import Fenced
from kae.sinks.plan import Change, Encodes, Plan, Prepared, prepare
from kae.sinks.shard import Sent, Shard
from kae.streams import dead_letters, failpoints
from kae.streams.bindings_follower import BindingsFollower
from kae.streams.control import Reached, announce
from kae.streams.dead_letters import DeadLetter, SourceRecord
from kae.streams.events import Undecodable, decode_item
from kae.streams.kafka_log import KafkaClients
from kae.streams.letters import kinds
from kae.streams.partitioner import check_home
from kae.streams.topology import Topology

log = structlog.get_logger()
T = TypeVar("T")

BINDINGS_WAIT_SECONDS = 30.0
# What is indexed for selectors at one go when a worker is idle: some 4 ms.
REST_ITEMS = 256


@dataclass(frozen=True, slots=True)
class Identity:
    """Which worker this is, and with which codebook it encodes."""

    name: str
    fingerprint: str
    data: Path


@dataclass(slots=True)
class Outcome:
    """What a batch came to: where to seek back to, and which shards are no longer this worker's."""

    seek: dict[int, int] = field(default_factory=dict)
    lost: dict[int, str] = field(default_factory=dict)

    def and_then(self, other: "Outcome") -> "Outcome":
        return Outcome(self.seek | other.seek, self.lost | other.lost)


# Records of one partition, their offsets rising.
Run = Sequence[SourceRecord]


@dataclass(slots=True)
class _Batch:
    """The records of one partition that are news to its shard, decoded and encoded."""

    next_offset: int
    changes: list[Change] = field(default_factory=list)
    records: list[SourceRecord] = field(default_factory=list)  # those of `changes`
    prepared: list[Prepared] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)

    def without_poison(self, attempt: Callable[[Sequence[int]], T]) -> T:
        """What `attempt` makes of this batch's changes, named by their places.

        The changes that it fails for are found by halving and go to the dead letters.
        """
        places: Sequence[int] = range(len(self.records))
        try:
            return attempt(places)
        except Exception as error:
            log.warning("batch_halved", shard=self.records[0].partition, error=repr(error))
        poison = dict(find_poison(places, attempt))
        for place, wrong in poison.items():
            cause = f"item: {type(wrong).__name__}: {wrong}"
            self.dead.append(DeadLetter(self.records[place], cause, kinds.ITEM_UNPLANNABLE))
        sound = [place for place in places if place not in poison]
        self.records = [self.records[place] for place in sound]
        return attempt(sound)


class Indexer:
    """Opens, feeds and closes the shards that this worker owns."""

    def __init__(
        self,
        topology: Topology,
        identity: Identity,
        encoder: Encodes,
        clients: KafkaClients,
        bindings: BindingsFollower,
    ) -> None:
        self._topology = topology
        self._identity = identity
        self._encoder = encoder
        self._clients = clients
        self._bindings = bindings
        self._shards: dict[int, Shard] = {}
        self._in_flight: dict[int, Sent] = {}

    @property
    def shards(self) -> Mapping[int, Shard]:
        return self._shards

    # Ownership.

    def own(self, partitions: Iterable[int]) -> Outcome:
        """Hold exactly these shards: close those that went, open and claim those that came.

        Raises: AppendUnknown when a claim is not acknowledged; what is held by then stays held.
        """
        self.land()
        wanted = set(partitions)
        for partition in self._shards.keys() - wanted:
            self._shards.pop(partition).close()
            log.info("shard_closed", shard=partition)
        for partition in sorted(wanted - self._shards.keys()):
            self._open(partition)
        return self.spread()

    def positions(self) -> dict[int, int]:
        """The items offset that each open shard goes on at."""
        return {partition: shard.next_offset for partition, shard in self._shards.copy().items()}

    def paused(self) -> set[int]:
        """The open shards that index no items until they are resumed."""
        return {number for number, shard in self._shards.copy().items() if shard.source.paused}

    def reached(self, partition: int) -> Reached:
        """What the control topic is told of an open shard."""
        shard = self._shards[partition]
        return Reached(
            self._topology.generation,
            partition,
            shard.source.bindings_version,
            shard.log.state.epoch,
            self._identity.name,
        )

    def refold(self, partition: int) -> Shard:
        """Delete a shard's store and fold it again from its log, under a new epoch.

        Nothing of it may be in flight. Raises: AppendUnknown; the shard is not held then.
        """
        shard = self._shards.pop(partition)
        shard.close()
        shutil.rmtree(shard.folder)
        self._open(partition)
        return self._shards[partition]

    def close(self) -> None:
        self.own(())

    def _open(self, partition: int) -> None:
        topology = self._topology
        shard = Shard(
            keys.shard_folder(self._identity.data, topology.generation, partition),
            self._clients.log(topology.deltas_topic, partition),
            owner=self._identity.name,
            fingerprint=self._identity.fingerprint,
            max_bytes=topology.limits.delta_bytes,
            write_buffer_bytes=topology.stores.write_buffer_bytes,
            sync_writes=topology.stores.sync_writes,
            on_claim=lambda: failpoints.reach(failpoints.REBALANCING),
        )
        self._shards[partition] = shard
        state = shard.store.state
        if shard.rebuilt:
            log.warning("store_rebuilt", shard=partition, cause=shard.rebuilt)
        log.info(
            "shard_owned",
            shard=partition,
            epoch=shard.log.state.epoch,
            version=state.version,
            next_offset=state.source.next_offset,
        )

    # Items.

    def index(self, runs: Iterable[Run]) -> Outcome:
        """Plan a batch and append it for every shard; `land`, or the next batch, applies it.

        Decoding and encoding, most of the work, need no state: they are done while the batch before
        is being stored.
        Raises: AppendUnknown when dead letters cannot be stored; LogTruncated.
        """
        outcome = Outcome()
        batches = self._admit(runs, outcome)
        landed = self.land()
        for partition in landed.lost:
            batches.pop(partition, None)
        plans = {partition: self._plan(partition, batch) for partition, batch in batches.items()}
        letters = [letter for batch in batches.values() for letter in batch.dead]
        if letters:
            topic, timeout = self._topology.dead_letters_topic, self._append_timeout
            dead_letters.publish(self._clients, topic, letters, timeout)
        failpoints.reach(failpoints.BEFORE_APPEND)
        at_ms = now_ms()
        for partition, batch in batches.items():
            self._in_flight[partition] = self._shards[partition].send_items(
                plans[partition], len(batch.dead), batch.next_offset, at_ms
            )
        failpoints.when_stored(sent.flight.appending for sent in self._in_flight.values())
        return outcome.and_then(landed)

    def land(self) -> Outcome:
        """Wait for what is in flight and apply it."""
        sent, self._in_flight = self._in_flight, {}
        return self.settle(sent)

    @property
    def _append_timeout(self) -> float:
        return self._topology.kafka.delivery_timeout_seconds

    def _admit(self, runs: Iterable[Run], outcome: Outcome) -> dict[int, _Batch]:
        """Sort runs by shard, pass over what a shard has, decode and encode the rest."""
        batches: dict[int, _Batch] = {}
        for run in runs:
            partition = run[0].partition
            shard = self._shards.get(partition)
            if shard is not None and not shard.source.paused and partition not in outcome.seek:
                batch = batches.get(partition) or _Batch(self._next_offset(partition))
                self._admit_run(run, batch, outcome)
                if batch.records or batch.dead:
                    batches[partition] = batch
        for batch in batches.values():
            self._encode(batch)
        return batches

    def _next_offset(self, partition: int) -> int:
        """The source record after those that are applied or in flight."""
        sent = self._in_flight.get(partition)
        return sent.next_offset if sent else self._shards[partition].next_offset

    def _admit_run(self, run: Run, batch: _Batch, outcome: Outcome) -> None:
        for record in run:
            if record.offset != batch.next_offset:
                if record.offset < batch.next_offset:
                    continue
                if not self._is_next(record, batch.next_offset):
                    outcome.seek[record.partition] = batch.next_offset
                    return
            self._decode(record, batch)
            batch.next_offset = record.offset + 1

    def _is_next(self, record: SourceRecord, expected: int) -> bool:
        """Whether the topic itself has nothing between `expected` and this record."""
        items = self._clients.log(record.topic, record.partition)
        following = next(offset for offset, _ in items.read(expected) if offset >= 0)
        return following == record.offset

    def _decode(self, record: SourceRecord, batch: _Batch) -> None:
        try:
            limit = self._topology.limits.event_bytes
            change = decode_item(record.key, record.value, limit, record.headers)
            check_home(change.id, record.partition, self._topology.shards)
        except Undecodable as error:
            batch.dead.append(DeadLetter(record, str(error), error.kind))
            return
        batch.changes.append(change)
        batch.records.append(record)

    def _encode(self, batch: _Batch) -> None:
        changes = batch.changes
        batch.prepared = batch.without_poison(
            lambda places: prepare([changes[place] for place in places], self._encoder)
        )

    def _plan(self, partition: int, batch: _Batch) -> Plan:
        shard, prepared = self._shards[partition], batch.prepared
        version = shard.store.state.source.bindings_version
        selectors = self._bindings.at_least(version, BINDINGS_WAIT_SECONDS).selectors
        return batch.without_poison(
            lambda places: shard.plan_items([prepared[place] for place in places], selectors)
        )

    # Bindings.

    def spread(self) -> Outcome:
        """Carry the newest bindings to every shard, those included that no item matches."""
        outcome = self.land()
        view = self._bindings.view
        sent: dict[int, Sent] = {}
        for partition, shard in self._shards.items():
            news = shard.send_bindings(view.bindings, view.selectors, now_ms())
            if news is not None:
                sent[partition] = news
        settled = self.settle(sent)
        for partition in sent.keys() - settled.lost.keys():
            topic = self._topology.control_topic
            announce(self._clients.producer, topic, self.reached(partition))
        return outcome.and_then(settled)

    def rest(self) -> bool:
        """Use a moment of idle time to index items for selectors; whether more are waiting."""
        return any(shard.postings.catch_up(REST_ITEMS) for shard in self._shards.values())

    def settle(self, sent: Mapping[int, Sent]) -> Outcome:
        """Wait for appends and apply them; a shard whose append is in doubt is given up."""
        outcome = Outcome()
        for partition, one in sent.items():
            shard = self._shards[partition]
            try:
                one.flight.appending.offsets()
                failpoints.reach(failpoints.ACKNOWLEDGED)
                shard.settle(one)
            except (Fenced, AppendUnknown) as error:
                self._shards.pop(partition).close()
                outcome.lost[partition] = str(error)
                log.warning("shard_lost", shard=partition, cause=str(error))
        if sent:
            failpoints.reach(failpoints.APPLIED)
        return outcome


def find_poison(
    places: Sequence[int], attempt: Callable[[Sequence[int]], object]
) -> Iterator[tuple[int, Exception]]:
    """Find the places that `attempt` fails for, each with its error, by halving."""
    if not places:
        return
    try:
        attempt(places)
    except Exception as error:
        if len(places) == 1:
            yield places[0], error
            return
        middle = len(places) // 2
        yield from find_poison(places[:middle], attempt)
        yield from find_poison(places[middle:], attempt)


def now_ms() -> int:
    """Wall clock, milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
