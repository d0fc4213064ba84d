"""A replica that begins with a snapshot's stores is the one that folded the whole logs."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from rocksdict import WriteBatch
from tests.streams.followed import SHARDS, Followed

from kae.encoders.items import Item
from kae.sinks.store import keys
from kae.sinks.store.recovery import SnapshotSource
from kae.sinks.store.store import ShardStore
from kae.sinks.trie import decoding
from kae.streams.replica.index import ReplicaIndex
from kae.streams.replica.search import Search


def stores_of(followed: Followed) -> Callable[[int], SnapshotSource]:
    """Each shard's store as it is now, as a snapshot lays it down."""

    def of_shard(shard: int) -> SnapshotSource:
        def lay(folder: Path, _note: Callable[[str], None]) -> Iterator[str]:
            followed.shards[shard].store.checkpoint(folder)
            yield str(shard)

        return lay

    return of_shard


def test_a_begun_replica_masks_counts_and_ranks_as_the_folded_one(
    followed: Followed, catalog: list[Item], tmp_path: Path
) -> None:
    followed.put(catalog[:400])
    followed.bind("quietcore", where='brand = "hp"')
    followed.spread_all()
    followed.put(catalog[300:600])
    followed.drop([item.id for item in catalog[100:150]])
    followed.follow()
    begun = ReplicaIndex(
        followed.topology, followed.codebook.fingerprint, tmp_path / "begun", stores_of(followed)
    )
    try:
        for offset, record in enumerate(followed.bindings_log.records):
            begun.fold_bindings(offset, record)
        view, folded = begun.swap(0), followed.index.view
        assert (view.versions, view.items) == (folded.versions, folded.items)
        assert begun.logs == followed.index.logs
        prefixes = np.zeros((1, 0), np.uint16)
        while prefixes.shape[1] < 6:
            places, slots = decoding.children(view.trie.merged, prefixes)
            expected_places, expected_slots = decoding.children(folded.trie.merged, prefixes)
            np.testing.assert_array_equal(places, expected_places)
            np.testing.assert_array_equal(slots, expected_slots)
            prefixes = np.hstack([prefixes[places], slots[:, None]])
            count = decoding.count(view.trie.merged, prefixes)
            expected_count = decoding.count(folded.trie.merged, prefixes)
            np.testing.assert_array_equal(count, expected_count)
        ours = decoding.items(view.trie.merged, prefixes, 1000)
        theirs = decoding.items(folded.trie.merged, prefixes, 1000)
        for column in ("first", "shards", "ordinals", "bindings", "popularity"):
            np.testing.assert_array_equal(getattr(ours, column), getattr(theirs, column))
        assert len(ours.shards) > 550
        assert len(view.shards) == SHARDS
    finally:
        begun.close()


def test_a_begun_replica_searches_once_it_has_read_the_words(
    followed: Followed, catalog: list[Item], tmp_path: Path
) -> None:
    followed.put(catalog[:300])
    followed.follow()
    begun = ReplicaIndex(
        followed.topology, followed.codebook.fingerprint, tmp_path / "begun", stores_of(followed)
    )
    search = Search(followed.codebook, beam=1024)
    try:
        ready_at_once = begun.postings_ready
        assert begun.view.items == followed.index.view.items == 300
        while not begun.postings_ready:
            begun.refresh_postings(time.monotonic())
            time.sleep(0.001)
        assert not ready_at_once
        ours = search.answer(begun.swap(0), "toner cartridge", 50)
        theirs = search.answer(followed.index.view, "toner cartridge", 50)
        assert [hit.id for hit in ours.items] == [hit.id for hit in theirs.items]
        assert ours.items
    finally:
        begun.close()


def test_rows_that_were_written_without_a_value_are_read(
    followed: Followed, catalog: list[Item]
) -> None:
    items = [replace(item, popularity=n + 0.5) for n, item in enumerate(catalog[:50])]
    followed.put(items)
    store = followed.shards[0].store
    with_values = [path.popularity.tolist() for path in store.paths()]
    rows = WriteBatch(raw_mode=True)
    family = store._rocks.handles[keys.TRIE]
    for key, _ in store.dump()[keys.TRIE]:
        rows.put(key, b"", family)
    store._rocks.write(rows)
    assert [path.popularity.tolist() for path in store.paths()] == with_values
    assert max(map(max, with_values)) > 0


def test_a_snapshot_whose_identifiers_are_not_all_there_is_passed_over(
    followed: Followed, catalog: list[Item], tmp_path: Path
) -> None:
    followed.put(catalog[:100])

    def shortened(shard: int) -> SnapshotSource:
        def lay(folder: Path, note: Callable[[str], None]) -> Iterator[str]:
            for name in stores_of(followed)(shard)(folder, note):
                store = ShardStore(folder)
                first = next(iter(store.dump()[keys.TRIE]))[0]
                rows = WriteBatch(raw_mode=True)
                rows.delete(first, store._rocks.handles[keys.TRIE])
                store._rocks.write(rows)
                store.close()
                yield name

        return lay

    begun = ReplicaIndex(
        followed.topology, followed.codebook.fingerprint, tmp_path / "begun", shortened
    )
    assert begun.view.items == 0
    begun.close()
