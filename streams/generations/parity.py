"""Parity: two generations over one input, folded anew from their logs and compared item by item."""

import shutil
import tempfile
import time
from itertools import zip_longest
from pathlib import Path

import msgspec
from kafka import KafkaConsumer, TopicPartition

from kae.sinks.log.edits import PutItem
from kae.sinks.log.fold import fold
from kae.sinks.log.protocol import LogTruncated, refuse_gap
from kae.sinks.store.store import ShardStore
from kae.streams.codebooks.opening import open_codebook
from kae.streams.errors import ParityBroken
from kae.streams.kafka.log import KafkaClients, poll
from kae.streams.kafka.topics import check_topics
from kae.streams.snapshots.archives import snapshots_in_log
from kae.streams.topology.types import Topology


class Side(msgspec.Struct, frozen=True):
    """One item as one generation has it; what a generation does not have is null."""

    revision: int
    identifier: list[int]
    terms: list[str]


class Difference(msgspec.Struct, frozen=True):
    """The first item, in the order of ids, that is not the same, and in what."""

    item: str
    fields: list[str]
    ours: Side | None
    theirs: Side | None


class ShardCompared(msgspec.Struct, frozen=True):
    """One shard of both; `next_offset` of the items is where either stood."""

    shard: int
    equal: bool
    hash: str
    against_hash: str
    items: int
    against_items: int
    next_offset: int
    against_next_offset: int
    first_difference: Difference | None


class Parity(msgspec.Struct, frozen=True):
    """What `kae parity check --json` prints."""

    equal: bool
    generation: int
    against: int
    shards: list[ShardCompared]


class _Reader:
    """Folds the shards of one generation, each in a store of its own."""

    def __init__(self, topology: Topology, clients: KafkaClients, folder: Path) -> None:
        self._topology = topology
        self._clients = clients
        self._folder = folder / f"g{topology.generation}"
        self._fingerprint = open_codebook(topology).fingerprint
        self._stores: dict[int, ShardStore] = {}

    def store(self, shard: int, consumer: KafkaConsumer) -> ShardStore:
        """A shard's store, folded on to where its log ends now.

        Raises: LogTruncated when no snapshot leads to what the log still holds.
        """
        place = TopicPartition(self._topology.deltas_topic, shard)
        if shard not in self._stores:
            self._stores[shard] = self._begin(place, consumer)
        store = self._stores[shard]
        state = store.state.log_state()
        name = f"{place.topic}/{shard}"
        consumer.assign([place])
        consumer.seek(place, state.next_offset)
        end = consumer.end_offsets([place])[place]
        while state.next_offset < end:
            for record in poll(consumer, name):
                refuse_gap(name, state.next_offset, record.offset)
                folded = fold(state, record.offset, record.value or b"")
                state = folded.state
                if folded.delta is not None:
                    store.apply(folded.delta, state)
        return store

    def close(self, shard: int) -> None:
        store = self._stores.pop(shard, None)
        if store is not None:
            store.close()
            shutil.rmtree(store.folder)

    def _begin(self, place: TopicPartition, consumer: KafkaConsumer) -> ShardStore:
        folder = self._folder / str(place.partition)
        if consumer.beginning_offsets([place])[place] > 0:
            passed_over: list[str] = []
            fit = snapshots_in_log(
                self._topology, self._clients, place.partition, self._fingerprint
            )
            if next(fit(folder, passed_over.append), None) is None:
                tried = "; ".join(passed_over) or "there is none"
                raise LogTruncated(
                    f"{place.topic}/{place.partition}: the log was trimmed, and no snapshot can be "
                    f"begun with: {tried}. Backfill a new generation"
                )
        return ShardStore(folder, self._topology.stores.write_buffer_bytes)


def check_parity(topology: Topology, other: Topology, wait_seconds: float) -> Parity:
    """Compare every shard of two generations that read the same items topic.

    Both go on being written; a shard is compared when both stand at one offset of the items, and
    looked at again until they do, or the time is over.
    Raises: ParityBroken when the generations are not comparable; KafkaUnreachable, TopicDiffers,
    LogCorrupt, LogTruncated.
    """
    _refuse_incomparable(topology, other)
    for one in (topology, other):
        check_topics(one)
    kafka = topology.kafka
    clients = KafkaClients.of(
        topology,
        "parity",
        timeout_seconds=kafka.request_timeout_seconds,
        max_bytes=topology.limits.delta_bytes,
    )
    try:
        with (
            tempfile.TemporaryDirectory(prefix="kae-parity-") as folder,
            clients.borrowed_consumer() as consumer,
        ):
            sides = (
                _Reader(topology, clients, Path(folder)),
                _Reader(other, clients, Path(folder)),
            )
            ends_at = time.monotonic() + wait_seconds
            shards = [_compare(shard, sides, consumer, ends_at) for shard in range(topology.shards)]
    finally:
        clients.close()
    equal = all(one.equal for one in shards)
    return Parity(equal, topology.generation, other.generation, shards)


def _refuse_incomparable(topology: Topology, other: Topology) -> None:
    if topology.deltas_topic == other.deltas_topic:
        raise ParityBroken(
            f"generation {topology.generation} is compared with itself; give another --against"
        )
    if topology.shards != other.shards:
        raise ParityBroken(
            f"generation {topology.generation} has {topology.shards} shards, {other.generation} "
            f"has {other.shards}; a hash per shard tells nothing then"
        )


def _compare(
    shard: int, sides: tuple[_Reader, _Reader], consumer: KafkaConsumer, ends_at: float
) -> ShardCompared:
    try:
        while True:
            ours, theirs = (side.store(shard, consumer) for side in sides)
            at, against = ours.state.source.next_offset, theirs.state.source.next_offset
            found = compared(shard, ours, theirs)
            if found.equal or time.monotonic() > ends_at:
                return found
            time.sleep(0.2 if at == against else 0.05)
    finally:
        for side in sides:
            side.close(shard)


def compared(shard: int, ours: ShardStore, theirs: ShardStore) -> ShardCompared:
    """One shard of both sides, as they are."""
    mine, other = ours.content_hash(), theirs.content_hash()
    return ShardCompared(
        shard=shard,
        equal=mine == other,
        hash=mine,
        against_hash=other,
        items=ours.state.live,
        against_items=theirs.state.live,
        next_offset=ours.state.source.next_offset,
        against_next_offset=theirs.state.source.next_offset,
        first_difference=None if mine == other else _first_difference(ours, theirs),
    )


def _first_difference(ours: ShardStore, theirs: ShardStore) -> Difference | None:
    """Both come in the order of their ids, so the first that is not in both is found by merging."""
    left, right = ours.items(), theirs.items()
    for mine, other in zip_longest(left, right):
        if mine is None or (other is not None and other.id.encode() < mine.id.encode()):
            return Difference(other.id, ["missing"], None, _side(theirs, other))
        if other is None or mine.id != other.id:
            return Difference(mine.id, ["missing"], _side(ours, mine), None)
        one, two = _side(ours, mine), _side(theirs, other)
        fields = [
            name for name in Side.__struct_fields__ if getattr(one, name) != getattr(two, name)
        ]
        if fields:
            return Difference(mine.id, fields, one, two)
    return None


def _side(store: ShardStore, item: PutItem) -> Side:
    terms = sorted(store.bindings[b].term for b in store.attached_to(item.ordinal))
    return Side(item.revision, list(item.identifier), terms)
