"""What an item was at a past time, and why, from its shard's log and the bindings log."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from kafka import TopicPartition

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.selector import Selector
from kae.sinks.log.edits import BindSlot, Delta, PutItem, decode_record
from kae.sinks.log.fold import LogState
from kae.sinks.log.item_past import ItemPast, Written
from kae.sinks.log.protocol import LogTruncated
from kae.sinks.store.reader import StoreReader
from kae.sinks.store.store import ShardStore
from kae.sinks.terms.bindings import Bindings
from kae.streams.clock import rfc3339
from kae.streams.codebooks.opening import open_codebook
from kae.streams.errors import ItemUnknown
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.partitioner import partition_of
from kae.streams.kafka.reader import read_deltas, read_to_end
from kae.streams.replica.explain import describe_attributes
from kae.streams.replica_api import words
from kae.streams.replica_api.answers import AttributeShown, Words
from kae.streams.snapshots.archives import snapshots_in_log
from kae.streams.terms.history import BindingsHistory
from kae.streams.topology.types import Topology


class DeltaReference(msgspec.Struct, frozen=True):
    """A delta of the shard's log."""

    version: int
    offset: int
    at_ms: int


class TermAtTime(msgspec.Struct, frozen=True):
    """A term that was attached to the item; `state` says whether readers saw it then.

    `since` is null if it was attached before the snapshot that reading started from.
    """

    term: str
    state: str
    path: Words
    why: str
    owner: str
    reason: str
    since: DeltaReference | None


class ItemAtTime(msgspec.Struct, frozen=True):
    """What `kae item explain ID --at TIME --json` prints; if it is not `live`, it was dropped."""

    at_ms: int
    id: str
    live: bool
    shard: int
    version: int  # of the shard's log then
    revision: int
    since: DeltaReference | None
    title: str
    identifier: Words
    groups: list[str]
    attributes: list[AttributeShown]
    terms: list[TermAtTime]


def explain_item_at(topology: Topology, item_id: str, at_ms: int) -> ItemAtTime:
    """What an item was at a time, from the logs up to then.

    Raises: ItemUnknown when the log had no event of the item; LogTruncated when the log was
    trimmed and there is no snapshot from before the time; KafkaUnreachable, TopicDiffers.
    """
    codebook = open_codebook(topology)
    bindings = BindingsHistory.read(topology).bindings(at_ms)
    shard = partition_of(item_id, topology.shards)
    with KafkaClients.for_reading(topology, "items") as clients:
        past, version = _read(topology, clients, codebook.fingerprint, shard, item_id, at_ms)
    if past.edit is None:
        raise ItemUnknown(
            f"{item_id!r}: the log of shard {shard} had no event of it by {rfc3339(at_ms)} "
            f"(version {version}). Is the id right, and the time? kae status shows whether the "
            "shard lags"
        )
    return describe_item_at(codebook, past, bindings, shard, version, at_ms)


def describe_item_at(
    codebook: Codebook, past: ItemPast, bindings: Bindings, shard: int, version: int, at_ms: int
) -> ItemAtTime:
    """What a fold of the item's past has led to; the item is known."""
    item = past.edit if isinstance(past.edit, PutItem) else None
    own = words.own_words(codebook, item) if item else (None,) * len(codebook.groups)
    return ItemAtTime(
        at_ms=at_ms,
        id=past.id,
        live=item is not None,
        shard=shard,
        version=version,
        revision=past.edit.revision if past.edit else -1,
        since=_reference(past.since),
        title=item.title if item else "",
        identifier=own,
        groups=[group.name for group in codebook.groups],
        attributes=describe_attributes(codebook, item) if item else [],
        terms=_terms(past, item, own, bindings, at_ms) if item else [],
    )


def _terms(
    past: ItemPast, item: PutItem, own: Words, bindings: Bindings, at_ms: int
) -> list[TermAtTime]:
    """The attached terms that the bindings log had then; readers did not see any other."""
    seen = bindings.visible(at_ms, past.bindings_version)
    return [
        TermAtTime(
            term=bound.term,
            state="active" if binding in seen else _why_hidden(bound, bindings, at_ms),
            path=words.path_words(own, bound),
            why=why_selected(bound.selector, item.id),
            owner=bound.owner,
            reason=bound.reason,
            since=_reference(since),
        )
        for binding, since in sorted(past.attached.items())
        if (bound := bindings.bound.get(binding)) is not None
    ]


def _why_hidden(bound: BindSlot, bindings: Bindings, at_ms: int) -> str:
    if bound.until_ms and bound.until_ms <= at_ms:
        return "expired"
    return "pending" if bound.binding in bindings.pending else "scheduled"


def why_selected(selector: Selector, item_id: str) -> str:
    """Why a selector selects an item that it selects."""
    if item_id in selector.pins:
        return f"pinned, number {selector.pins.index(item_id) + 1}"
    if item_id in selector.plus:
        return "added by its id"
    parts = [f"has the phrase {selector.match!r}"] * bool(selector.match)
    parts += ["is one of those named"] * bool(selector.items)
    parts += [f"its words hold {selector.where}"] * bool(selector.where)
    return " and ".join(parts)


def _reference(written: Written | None) -> DeltaReference | None:
    return DeltaReference(written.version, written.offset, written.at_ms) if written else None


def _read(
    topology: Topology,
    clients: KafkaClients,
    fingerprint: str,
    shard: int,
    item_id: str,
    at_ms: int,
) -> tuple[ItemPast, int]:
    """The item's past up to a time, and the version of the shard's log by then."""
    partition = TopicPartition(topology.deltas_topic, shard)
    past, state = ItemPast(item_id), LogState()
    with clients.borrowed_consumer() as consumer:
        trimmed = consumer.beginning_offsets([partition])[partition] > 0
    if trimmed:
        newest = _version_at(clients, partition, at_ms)
        with _snapshot(topology, clients, fingerprint, shard, newest) as store:
            reader = StoreReader(store)
            bindings_version = reader.state.source.bindings_version
            edit = reader.item(item_id)
            past = ItemPast(item_id, edit, reader.attached, bindings_version)
            state = store.state.log_state()
    version = state.version
    for after, delta in read_deltas(clients, partition, state):
        if delta.at_ms > at_ms:
            break
        past.note(delta, after.offset)
        version = delta.version
    return past, version


def _version_at(clients: KafkaClients, partition: TopicPartition, at_ms: int) -> int:
    """The newest version that a trimmed log had at a time; -1 if it begins after that."""
    newest = -1
    for record in read_to_end(clients, {partition: None}):
        decoded = decode_record(record.value or b"")
        if isinstance(decoded, Delta):
            if decoded.at_ms > at_ms:
                break
            newest = decoded.version
    return newest


@contextmanager
def _snapshot(
    topology: Topology, clients: KafkaClients, fingerprint: str, shard: int, newest: int
) -> Iterator[ShardStore]:
    """The store of the newest snapshot that is not newer than a version.

    Raises: LogTruncated when there is none.
    """
    rejected: list[str] = []
    with tempfile.TemporaryDirectory(prefix="kae-explain-") as folder:
        place = Path(folder) / "shard"
        snapshots = snapshots_in_log(topology, clients, shard, fingerprint, newest=newest)
        if next(snapshots(place, rejected.append), None) is None:
            tried = "; ".join(rejected) or "there is none"
            raise LogTruncated(
                f"{topology.deltas_topic}/{shard}: the log was trimmed, and no snapshot "
                f"from before that time can be used: {tried}. Ask for a later time"
            )
        store = ShardStore(place, topology.stores.write_buffer_bytes)
        try:
            yield store
        finally:
            store.close()
