"""What an item was at a time, and why, from its shard's log and the bindings log."""

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
from kae.streams.kafka.log import KafkaClients, poll
from kae.streams.kafka.partitioner import partition_of
from kae.streams.kafka.reader import clients_for, deltas_from
from kae.streams.replica.explain import attributes_of
from kae.streams.replica_api import words
from kae.streams.replica_api.answers import AttributeShown, Words
from kae.streams.snapshots.archives import snapshots_in_log
from kae.streams.terms.history import BindingsHistory
from kae.streams.topology.types import Topology


class DeltaThen(msgspec.Struct, frozen=True):
    """A delta of the shard's log."""

    version: int
    offset: int
    at_ms: int


class TermOfItem(msgspec.Struct, frozen=True):
    """A term that was attached to the item; `state` says whether readers saw it then.

    `since` is null for what was attached before the snapshot that reading began with.
    """

    term: str
    state: str
    path: Words
    why: str
    owner: str
    reason: str
    since: DeltaThen | None


class ItemThen(msgspec.Struct, frozen=True):
    """What `kae item explain ID --at TIME --json` prints; what is not `live` was dropped."""

    at_ms: int
    id: str
    live: bool
    shard: int
    version: int  # of the shard's log then
    revision: int
    since: DeltaThen | None
    title: str
    identifier: Words
    groups: list[str]
    attributes: list[AttributeShown]
    terms: list[TermOfItem]


def explain_at(topology: Topology, item_id: str, at_ms: int) -> ItemThen:
    """Read the logs up to a time.

    Raises: ItemUnknown when no event of the item was in the log; LogTruncated when the log was
    trimmed and no snapshot from before the time is left; KafkaUnreachable, TopicDiffers.
    """
    codebook = open_codebook(topology)
    bindings = BindingsHistory.read(topology).bindings(at_ms)
    shard = partition_of(item_id, topology.shards)
    clients = clients_for(topology, "items")
    try:
        past, version = _read(topology, clients, codebook.fingerprint, shard, item_id, at_ms)
    finally:
        clients.close()
    if past.edit is None:
        raise ItemUnknown(
            f"{item_id!r}: the log of shard {shard} had no event of it by {rfc3339(at_ms)} "
            f"(version {version}). Is the id right, and the time? kae status shows whether the "
            "shard lags"
        )
    return describe_history(codebook, past, bindings, shard, version, at_ms)


def describe_history(
    codebook: Codebook, past: ItemPast, bindings: Bindings, shard: int, version: int, at_ms: int
) -> ItemThen:
    """Tell what a fold of the item's past has come to, of an item that it knows."""
    item = past.edit if isinstance(past.edit, PutItem) else None
    own = words.own_words(codebook, item) if item else (None,) * len(codebook.groups)
    return ItemThen(
        at_ms=at_ms,
        id=past.id,
        live=item is not None,
        shard=shard,
        version=version,
        revision=past.edit.revision if past.edit else -1,
        since=_told(past.since),
        title=item.title if item else "",
        identifier=own,
        groups=[group.name for group in codebook.groups],
        attributes=attributes_of(codebook, item) if item else [],
        terms=_terms(past, item, own, bindings, at_ms) if item else [],
    )


def _terms(
    past: ItemPast, item: PutItem, own: Words, bindings: Bindings, at_ms: int
) -> list[TermOfItem]:
    """Those of a binding that the bindings log held then; others readers did not see."""
    seen = bindings.visible(at_ms, past.bindings_version)
    return [
        TermOfItem(
            term=bound.term,
            state="active" if binding in seen else _why_hidden(bound, bindings, at_ms),
            path=words.path_words(own, bound),
            why=why_selected(bound.selector, item.id),
            owner=bound.owner,
            reason=bound.reason,
            since=_told(since),
        )
        for binding, since in sorted(past.attached.items())
        if (bound := bindings.bound.get(binding)) is not None
    ]


def _why_hidden(bound: BindSlot, bindings: Bindings, at_ms: int) -> str:
    if bound.until_ms and bound.until_ms <= at_ms:
        return "expired"
    return "pending" if bound.binding in bindings.pending else "scheduled"


def why_selected(selector: Selector, item_id: str) -> str:
    """What of a selector led to an item that it selects."""
    if item_id in selector.pins:
        return f"pinned, number {selector.pins.index(item_id) + 1}"
    if item_id in selector.plus:
        return "added by its id"
    parts = [f"has the phrase {selector.match!r}"] * bool(selector.match)
    parts += ["is one of those named"] * bool(selector.items)
    parts += [f"its words hold {selector.where}"] * bool(selector.where)
    return " and ".join(parts)


def _told(written: Written | None) -> DeltaThen | None:
    return DeltaThen(written.version, written.offset, written.at_ms) if written else None


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
    for after, delta in deltas_from(topology, clients, partition, state):
        if delta.at_ms > at_ms:
            break
        past.note(delta, after.offset)
        version = delta.version
    return past, version


def _version_at(clients: KafkaClients, partition: TopicPartition, at_ms: int) -> int:
    """The newest version that a trimmed log held at a time; of one from before it, -1."""
    newest = -1
    consumer = clients.consumer()
    try:
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        while consumer.position(partition) < end:
            for record in poll(consumer, f"{partition.topic}/{partition.partition}"):
                decoded = decode_record(record.value or b"")
                if isinstance(decoded, Delta):
                    if decoded.at_ms > at_ms:
                        return newest
                    newest = decoded.version
    finally:
        consumer.close(autocommit=False)
    return newest


@contextmanager
def _snapshot(
    topology: Topology, clients: KafkaClients, fingerprint: str, shard: int, newest: int
) -> Iterator[ShardStore]:
    """The store of the newest snapshot that is not newer than a version.

    Raises: LogTruncated when there is none.
    """
    passed_over: list[str] = []
    with tempfile.TemporaryDirectory(prefix="kae-explain-") as folder:
        place = Path(folder) / "shard"
        fit = snapshots_in_log(topology, clients, shard, fingerprint, newest=newest)
        if next(fit(place, passed_over.append), None) is None:
            tried = "; ".join(passed_over) or "there is none"
            raise LogTruncated(
                f"{topology.deltas_topic}/{shard}: the log was trimmed, and no snapshot of "
                f"before that time can be begun with: {tried}. Ask for a later time"
            )
        store = ShardStore(place, topology.stores.write_buffer_bytes)
        try:
            yield store
        finally:
            store.close()
