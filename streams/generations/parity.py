"""Fold the logs of two generations over one items topic, and compare them item by item."""

import shutil
import tempfile
import time
from itertools import zip_longest
from pathlib import Path

import msgspec
from kafka import TopicPartition

from kae.sinks.log.edits import PutItem
from kae.sinks.store.store import ShardStore
from kae.streams.codebooks.opening import open_codebook
from kae.streams.errors import ParityBroken
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.reader import read_deltas
from kae.streams.kafka.topics import check_topics
from kae.streams.snapshots.archives import restore_if_trimmed
from kae.streams.topology.types import Topology


class ParityItem(msgspec.Struct, frozen=True):
    """One item as one generation has it."""

    revision: int
    identifier: list[int]
    terms: list[str]


class ItemDifference(msgspec.Struct, frozen=True):
    """The first item, in the order of ids, that differs, and in which fields.

    A generation that lacks it is null.
    """

    item: str
    fields: list[str]
    ours: ParityItem | None
    theirs: ParityItem | None


class ShardCompared(msgspec.Struct, frozen=True):
    """One shard of both generations; each `next_offset` is of the items topic."""

    shard: int
    equal: bool
    hash: str
    against_hash: str
    items: int
    against_items: int
    next_offset: int
    against_next_offset: int
    first_difference: ItemDifference | None


class Parity(msgspec.Struct, frozen=True):
    """What `kae parity check --json` prints."""

    equal: bool
    generation: int
    against: int
    shards: list[ShardCompared]


class _GenerationStores:
    """The shards of one generation, each folded into a store of its own."""

    def __init__(self, topology: Topology, clients: KafkaClients, folder: Path) -> None:
        self._topology = topology
        self._clients = clients
        self._folder = folder / f"g{topology.generation}"
        self._fingerprint = open_codebook(topology).fingerprint
        self._stores: dict[int, ShardStore] = {}

    def store(self, shard: int) -> ShardStore:
        """A shard's store, folded up to its log's present end.

        Raises: LogTruncated when the log was trimmed and no snapshot fits it.
        """
        place = TopicPartition(self._topology.deltas_topic, shard)
        if shard not in self._stores:
            self._stores[shard] = self._begin(shard)
        store = self._stores[shard]
        for state, delta in read_deltas(self._clients, place, store.state.log_state()):
            store.apply(delta, state)
        return store

    def close(self, shard: int) -> None:
        store = self._stores.pop(shard, None)
        if store is not None:
            store.close()
            shutil.rmtree(store.folder)

    def _begin(self, shard: int) -> ShardStore:
        folder = self._folder / str(shard)
        restore_if_trimmed(
            self._topology,
            self._clients,
            shard,
            self._fingerprint,
            folder,
            remedy="Backfill a new generation",
        )
        return ShardStore(folder, self._topology.stores.write_buffer_bytes)


def check_parity(topology: Topology, other: Topology, wait_seconds: float) -> Parity:
    """Compare every shard of two generations that read the same items topic.

    Both are still written, so a shard that differs is compared again until both have read the same
    items, or `wait_seconds` are over.
    Raises: ParityBroken when the generations are not comparable; KafkaUnreachable, TopicDiffers,
    LogCorrupt, LogTruncated.
    """
    _refuse_incomparable(topology, other)
    for one in (topology, other):
        check_topics(one)
    with (
        KafkaClients.for_reading(topology, "parity") as clients,
        tempfile.TemporaryDirectory(prefix="kae-parity-") as folder,
    ):
        sides = (
            _GenerationStores(topology, clients, Path(folder)),
            _GenerationStores(other, clients, Path(folder)),
        )
        deadline = time.monotonic() + wait_seconds
        shards = [_compare(shard, sides, deadline) for shard in range(topology.shards)]
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
            f"has {other.shards}: shards that hold other items cannot be compared; give --against "
            "one with as many shards"
        )


def _compare(
    shard: int, sides: tuple[_GenerationStores, _GenerationStores], deadline: float
) -> ShardCompared:
    try:
        while True:
            ours, theirs = (side.store(shard) for side in sides)
            at, against = ours.state.source.next_offset, theirs.state.source.next_offset
            found = compare_stores(shard, ours, theirs)
            if found.equal or time.monotonic() > deadline:
                return found
            time.sleep(0.2 if at == against else 0.05)
    finally:
        for side in sides:
            side.close(shard)


def compare_stores(shard: int, ours: ShardStore, theirs: ShardStore) -> ShardCompared:
    """Compare one shard of both, as the stores are now."""
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


def _first_difference(ours: ShardStore, theirs: ShardStore) -> ItemDifference | None:
    """Both stores list items in the order of ids, so one pass over both finds it."""
    left, right = ours.items(), theirs.items()
    for mine, other in zip_longest(left, right):
        if mine is None or (other is not None and other.id.encode() < mine.id.encode()):
            return ItemDifference(other.id, ["missing"], None, _side(theirs, other))
        if other is None or mine.id != other.id:
            return ItemDifference(mine.id, ["missing"], _side(ours, mine), None)
        one, two = _side(ours, mine), _side(theirs, other)
        fields = [
            name
            for name in ParityItem.__struct_fields__
            if getattr(one, name) != getattr(two, name)
        ]
        if fields:
            return ItemDifference(mine.id, fields, one, two)
    return None


def _side(store: ShardStore, item: PutItem) -> ParityItem:
    terms = sorted(store.bindings[b].term for b in store.attached_to(item.ordinal))
    return ParityItem(item.revision, list(item.identifier), terms)
