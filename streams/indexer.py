"""The shards of one worker: batches of records in, deltas appended and applied.

Everything here runs on one thread, the worker's shard thread, so shards need no locks.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from kae.sinks import keys
from kae.sinks.log import AppendUnknown
from kae.sinks.owned import Fenced
from kae.sinks.plan import Change, Encodes, Plan
from kae.sinks.shard import Sent, Shard
from kae.streams import dead_letters, failpoints
from kae.streams.bindings_follower import BindingsFollower
from kae.streams.control import Reached, announce
from kae.streams.dead_letters import DeadLetter, SourceRecord
from kae.streams.events import Undecodable, decode_item
from kae.streams.kafka_log import KafkaClients
from kae.streams.partitioner import check_home
from kae.streams.topology import Topology

log = structlog.get_logger()

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


@dataclass(slots=True)
class _Batch:
    """The records of one partition that are news to its shard."""

    changes: list[Change] = field(default_factory=list)
    records: list[SourceRecord] = field(default_factory=list)  # those of the changes
    dead: list[DeadLetter] = field(default_factory=list)
    next_offset: int = 0


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

    @property
    def shards(self) -> Mapping[int, Shard]:
        return self._shards

    # Ownership.

    def own(self, partitions: Iterable[int]) -> None:
        """Hold exactly these shards: close those that went, open and claim those that came."""
        wanted = set(partitions)
        for partition in self._shards.keys() - wanted:
            self._shards.pop(partition).close()
            log.info("shard_closed", shard=partition)
        for partition in sorted(wanted - self._shards.keys()):
            self._open(partition)
        self.spread()

    def positions(self) -> dict[int, int]:
        """The items offset that each open shard goes on at."""
        return {partition: shard.next_offset for partition, shard in self._shards.copy().items()}

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
        self._announce(partition, shard)

    # Items.

    def index(self, records: Sequence[SourceRecord]) -> Outcome:
        """Index a batch: plan and append for every shard, then apply.

        Raises: AppendUnknown when dead letters cannot be stored; LogTruncated.
        """
        outcome = Outcome()
        batches = self._admit(records, outcome)
        plans = {partition: self._plan(partition, batch) for partition, batch in batches.items()}
        letters = [letter for batch in batches.values() for letter in batch.dead]
        if letters:
            topic, timeout = self._topology.dead_letters_topic, self._append_timeout
            dead_letters.publish(self._clients.producer, topic, letters, timeout)
        failpoints.reach(failpoints.BEFORE_APPEND)
        at_ms = now_ms()
        sent = {
            partition: self._shards[partition].send_items(
                plans[partition], len(batch.dead), batch.next_offset, at_ms
            )
            for partition, batch in batches.items()
        }
        failpoints.when_stored(one.flight.appending for one in sent.values())
        self._settle(sent, outcome)
        return outcome

    @property
    def _append_timeout(self) -> float:
        return self._topology.kafka.delivery_timeout_seconds

    def _admit(self, records: Sequence[SourceRecord], outcome: Outcome) -> dict[int, _Batch]:
        """Sort records by shard, passing over those that a shard has, and decode the rest."""
        batches: dict[int, _Batch] = {}
        for record in records:
            partition = record.partition
            shard = self._shards.get(partition)
            if shard is None or partition in outcome.seek:
                continue
            batch = batches.get(partition)
            expected = batch.next_offset if batch else shard.next_offset
            if record.offset < expected:
                continue
            if record.offset > expected and not self._is_next(record, expected):
                outcome.seek[partition] = expected
                continue
            if batch is None:
                batch = batches[partition] = _Batch()
            self._decode(record, batch)
            batch.next_offset = record.offset + 1
        return batches

    def _is_next(self, record: SourceRecord, expected: int) -> bool:
        """Whether the topic itself has nothing between `expected` and this record."""
        items = self._clients.log(record.topic, record.partition)
        following = next(offset for offset, _ in items.read(expected) if offset >= 0)
        return following == record.offset

    def _decode(self, record: SourceRecord, batch: _Batch) -> None:
        try:
            change = decode_item(record.key, record.value, self._topology.limits.event_bytes)
            check_home(change.id, record.partition, self._topology.shards)
            batch.changes.append(change)
            batch.records.append(record)
        except Undecodable as error:
            batch.dead.append(DeadLetter(record, str(error)))

    def _plan(self, partition: int, batch: _Batch) -> Plan:
        """Plan a batch; what cannot be planned is found by halving and goes to the dead letters."""
        shard = self._shards[partition]
        version = shard.store.state.source.bindings_version
        selectors = self._bindings.at_least(version, BINDINGS_WAIT_SECONDS).selectors

        def attempt(changes: Sequence[Change]) -> Plan:
            return shard.plan_items(changes, selectors, self._encoder)

        try:
            return attempt(batch.changes)
        except Exception as error:
            log.warning("batch_halved", shard=partition, error=repr(error))
        poison = dict(find_poison(batch.changes, attempt))
        batch.dead += [
            DeadLetter(batch.records[place], f"item: {type(error).__name__}: {error}")
            for place, error in poison.items()
        ]
        return attempt([c for place, c in enumerate(batch.changes) if place not in poison])

    # Bindings.

    def spread(self) -> Outcome:
        """Carry the newest bindings to every shard, those included that no item matches."""
        outcome = Outcome()
        view = self._bindings.view
        sent: dict[int, Sent] = {}
        for partition, shard in self._shards.items():
            news = shard.send_bindings(view.bindings, view.selectors, now_ms())
            if news is not None:
                sent[partition] = news
        self._settle(sent, outcome)
        for partition in sent.keys() - outcome.lost.keys():
            self._announce(partition, self._shards[partition])
        return outcome

    def rest(self) -> bool:
        """Use a moment of idle time to index items for selectors; whether more are waiting."""
        return any(shard.postings.catch_up(REST_ITEMS) for shard in self._shards.values())

    def _announce(self, partition: int, shard: Shard) -> None:
        version = shard.store.state.source.bindings_version
        reached = Reached(self._topology.generation, partition, version)
        announce(self._clients.producer, self._topology.control_topic, reached)

    def _settle(self, sent: Mapping[int, Sent], outcome: Outcome) -> None:
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


def find_poison(
    changes: Sequence[Change], attempt: Callable[[Sequence[Change]], object], first: int = 0
) -> Iterator[tuple[int, Exception]]:
    """Find the changes that `attempt` fails for, each with its place and error, by halving."""
    if not changes:
        return
    try:
        attempt(changes)
    except Exception as error:
        if len(changes) == 1:
            yield first, error
            return
        middle = len(changes) // 2
        yield from find_poison(changes[:middle], attempt, first)
        yield from find_poison(changes[middle:], attempt, first + middle)


def now_ms() -> int:
    """Wall clock, milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
