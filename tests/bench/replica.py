"""How fast a replica starts from snapshots and applies deltas, and its memory for each item."""

import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
import rocksdict
import structlog

from kae.bench.live_trie import array_bytes
from kae.bench.progress import track
from kae.bench.recombined_items import Recombination
from kae.deploy.demo import CATALOG
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Item
from kae.sinks.log.edits import PutItem, encode_edit
from kae.sinks.log.protocol import MemoryLog
from kae.sinks.shard import Shard
from kae.sinks.snapshots.archive import Archive
from kae.sinks.snapshots.fetch import fetch_snapshot
from kae.sinks.snapshots.manifest import Manifest, SnapshotOrigin
from kae.sinks.snapshots.take import take_snapshot
from kae.sinks.store import keys
from kae.sinks.store.bulk_load import BulkItem, bulk_load
from kae.sinks.store.plan import Upsert, prepare
from kae.sinks.store.recovery import SnapshotSource
from kae.sinks.store.store import ShardStore
from kae.sinks.trie import decoding
from kae.streams.catalog.rows import read_items
from kae.streams.kafka.partitioner import partition_of
from kae.streams.replica.index import ReplicaIndex
from kae.streams.runtime.interpreter import set_for_indexing
from kae.streams.topology.types import Topology

SEED = 1
ENCODED_AT_ONCE = 2048
ROUNDS = 3
EDITS_A_DELTA = 1000
DELTAS_A_SHARD = 6


class ReplicaBench(msgspec.Struct, frozen=True):
    """What `kae bench replica --json` prints.

    A bootstrap fetches each shard's snapshot from a folder, every byte checked, and ends with a
    view that masks; the raw read is that of the same files and of the keys that the view is made
    of. Words, which searches ask for, are read after that (`words_seconds`).
    """

    bootstrap_seconds_1m: float  # of `items`, whatever they are
    edits_per_second: float
    bytes_per_item: float  # the trie's and the tables' arrays, an item and path
    ratio_bootstrap_to_raw_read: float
    growth: float  # bootstrap of `items` / (items / small_items x that of `small_items`)
    fetch_seconds: float
    raw_read_seconds: float
    words_seconds: float
    small_bootstrap_seconds: float
    items: int
    small_items: int
    paths: int
    rounds: int


class _Catalog:
    """Snapshots of every shard of a catalog of recombined items."""

    def __init__(self, topology: Topology, codebook: Codebook, folder: Path, count: int) -> None:
        self.topology = topology
        self.fingerprint = codebook.fingerprint
        self.folder = folder
        self.some: dict[int, list[Item]] = {}
        self.snapshots: list[tuple[Archive, Manifest]] = []
        rows = self._rows(codebook, count)
        for shard, unplaced in enumerate(rows):
            store = folder / "made" / str(shard)
            unplaced.sort()
            bulk_load(store, unplaced, topology.stores.write_buffer_bytes)
            unplaced.clear()
            self.snapshots.append(self._taken(shard, store))
            shutil.rmtree(store)

    def _rows(self, codebook: Codebook, count: int) -> list[list[BulkItem]]:
        encoder, shards = Encoder(codebook), self.topology.shards
        recombination = Recombination.of(codebook, list(read_items(CATALOG, self.topology.catalog)))
        donors = recombination.donors(SEED, count)
        rows: list[list[BulkItem]] = [[] for _ in range(shards)]
        with track(f"items of {count:,}", count) as meter:
            for first in range(0, count, ENCODED_AT_ONCE):
                numbers = range(first, min(first + ENCODED_AT_ONCE, count))
                items = [recombination.item(number, donors[number]) for number in numbers]
                for item, encoded in zip(items, encoder.encode_all(items), strict=True):
                    shard = partition_of(item.id, shards)
                    put = PutItem(
                        item.id, 0, 1, bytes(8), encoded.identifier, item.popularity, (),
                        encoded.title, encoded.text, encoded.attributes,
                    )  # fmt: skip
                    key = keys.item_key(item.id)
                    rows[shard].append(BulkItem(key, 1, encoded.identifier, encode_edit(put)))
                    edited = self.some.setdefault(shard, [])
                    if len(edited) < EDITS_A_DELTA * DELTAS_A_SHARD:
                        edited.append(item)
                meter(numbers.stop)
        return rows

    def _taken(self, shard: int, folder: Path) -> tuple[Archive, Manifest]:
        archive = Archive.open(str(self.folder / "archive"), f"deltas/{shard}")
        checkpoint = self.folder / "checkpoints" / str(shard)
        store = ShardStore(folder, self.topology.stores.write_buffer_bytes)
        try:
            store.checkpoint(checkpoint)
            origin = SnapshotOrigin(f"deltas/{shard}", 1, shard, "bench", 0)
            taken = take_snapshot(archive, checkpoint, store.state, origin)
        finally:
            store.close()
        return archive, taken.manifest

    def lay(self, shard: int) -> SnapshotSource:
        """The shard's snapshot, laid as a replica lays it."""
        archive, manifest = self.snapshots[shard]

        def laid(folder: Path, _note: Callable[[str], None]) -> Iterator[str]:
            fetch_snapshot(archive, manifest, folder)
            yield str(shard)

        return laid


def measure_replica(items: int, small: int) -> ReplicaBench:
    """Both catalogs are made first, which takes a minute for a million items."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    topology = Topology.load()
    codebook = Codebook.load(topology.codebook_folder)
    with tempfile.TemporaryDirectory(prefix="kae-bench-") as name:
        few = _Catalog(topology, codebook, Path(name) / "few", small)
        many = _Catalog(topology, codebook, Path(name) / "many", items)
        set_for_indexing()
        little = median(_bootstrap(few, Path(name) / "scratch") for _ in range(ROUNDS))
        long, raw, fetching = [], [], []
        for _ in range(ROUNDS):
            long.append(_bootstrap(many, Path(name) / "scratch"))
            fetched, read = _raw_read(many, Path(name) / "scratch")
            fetching.append(fetched)
            raw.append(read)
        index = _begun(many, Path(name) / "scratch")
        try:
            bytes_per_item = _bytes(index) / index.view.trie.entry_count
            paths = index.view.trie.path_count
            words = _words(index)
            edits = _edits_per_second(index, many, Path(name) / "owners")
        finally:
            index.close()
    seconds = median(long)
    return ReplicaBench(
        bootstrap_seconds_1m=round(seconds, 3),
        edits_per_second=round(edits, 1),
        bytes_per_item=round(bytes_per_item, 1),
        ratio_bootstrap_to_raw_read=round(
            median(ours / bare for ours, bare in zip(long, raw, strict=True)), 3
        ),
        growth=round(seconds / (items / small * little), 3),
        fetch_seconds=round(median(fetching), 3),
        raw_read_seconds=round(median(raw), 3),
        words_seconds=round(words, 3),
        small_bootstrap_seconds=round(little, 3),
        items=items,
        small_items=small,
        paths=paths,
        rounds=ROUNDS,
    )


def _begun(catalog: _Catalog, folder: Path) -> ReplicaIndex:
    return ReplicaIndex(catalog.topology, catalog.fingerprint, folder, catalog.lay)


def _bootstrap(catalog: _Catalog, folder: Path) -> float:
    """Seconds from nothing to the first mask."""
    began = time.perf_counter()
    index = _begun(catalog, folder)
    decoding.mask(index.view.trie.merged, np.zeros((1, 0), np.uint16), 1 << 13)
    seconds = time.perf_counter() - began
    index.close()
    return seconds


def _raw_read(catalog: _Catalog, folder: Path) -> tuple[float, float]:
    """Seconds to fetch all snapshots, and to read their files and the keys of their tries."""
    folders = [folder / str(shard) for shard in range(catalog.topology.shards)]
    began = time.perf_counter()
    for (archive, manifest), one in zip(catalog.snapshots, folders, strict=True):
        fetch_snapshot(archive, manifest, one)
    fetched = time.perf_counter() - began
    began = time.perf_counter()
    for one in folders:
        for path in one.iterdir():
            with path.open("rb") as file:
                while file.read(1 << 20):
                    pass
        options = rocksdict.Options(raw_mode=True)
        families = {name: rocksdict.Options(raw_mode=True) for name in keys.COLUMN_FAMILIES}
        store = rocksdict.Rdict(str(one), options, column_families=families)
        trie = store.get_column_family(keys.TRIE)
        for _ in trie.keys():  # noqa: SIM118 -- no dict
            pass
        trie.close()
        store.close()
    seconds = time.perf_counter() - began
    shutil.rmtree(folder)
    return fetched, seconds


def _bytes(index: ReplicaIndex) -> int:
    return array_bytes(index.view.trie) + index.table_bytes


def _words(index: ReplicaIndex) -> float:
    began = time.perf_counter()
    while not index.postings_ready:
        index.refresh_postings(time.monotonic())
        time.sleep(0.01)
    return time.perf_counter() - began


def _edits_per_second(index: ReplicaIndex, catalog: _Catalog, folder: Path) -> float:
    """Deltas of real owners, folded into the replica with a view after each round of shards."""
    encoder = Encoder(Codebook.load(catalog.topology.codebook_folder))
    logs = [_log(catalog, folder / str(s), s, encoder) for s in range(catalog.topology.shards)]
    edits = sum(len(catalog.some[shard]) for shard in range(len(logs)))
    began = time.perf_counter()
    for offset in range(max(map(len, logs))):
        for shard, records in enumerate(logs):
            if offset < len(records):
                index.fold_shard(shard, offset, records[offset])
        index.swap(0)
    return edits / (time.perf_counter() - began)


def _log(catalog: _Catalog, folder: Path, shard: int, encoder: Encoder) -> Sequence[bytes]:
    """The records of an owner that puts new revisions, each with its neighbour's words."""
    archive, manifest = catalog.snapshots[shard]
    fetch_snapshot(archive, manifest, folder)
    log, items = MemoryLog(), catalog.some[shard]
    owner = Shard(folder, log, owner="bench", fingerprint=catalog.fingerprint, max_bytes=900_000)
    try:
        for first in range(0, len(items), EDITS_A_DELTA):
            some = items[first : first + EDITS_A_DELTA]
            changed = [
                msgspec.structs.replace(item, title=other.title, fields=other.fields)
                for item, other in zip(some, [*some[1:], some[0]], strict=True)
            ]
            changes = [Upsert(item.id, 2, bytes(8), item) for item in changed]
            plan = owner.plan_items(prepare(changes, encoder), {})
            owner.append_items(plan, 0, 0, at_ms=0).apply()
    finally:
        owner.close()
    shutil.rmtree(folder)
    return log.records
