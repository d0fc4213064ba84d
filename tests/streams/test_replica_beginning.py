"""A replica that begins with a snapshot's stores is the one that folded the whole logs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from tests.streams.followed import SHARDS, Followed

from kae.encoders.attributes import Item
from kae.sinks.beginnings import Snapshots
from kae.streams.replica.index import ReplicaIndex


def stores_of(line: Followed) -> Callable[[int], Snapshots]:
    """Each shard's store as it is now, as a snapshot lays it down."""

    def of_shard(shard: int) -> Snapshots:
        def lay(folder: Path, _note: Callable[[str], None]) -> Iterator[str]:
            line.shards[shard].store.checkpoint(folder)
            yield str(shard)

        return lay

    return of_shard


def test_a_begun_replica_masks_counts_and_ranks_as_the_folded_one(
    line: Followed, catalog: list[Item], tmp_path: Path
) -> None:
    line.put(catalog[:400])
    line.bind("quietcore", where='brand = "hp"')
    line.spread_all()
    line.put(catalog[300:600])
    line.drop([item.id for item in catalog[100:150]])
    line.follow()
    begun = ReplicaIndex(
        line.topology, line.codebook.fingerprint, tmp_path / "begun", stores_of(line)
    )
    try:
        for offset, record in enumerate(line.bindings_log.records):
            begun.fold_bindings(offset, record)
        view, folded = begun.swap(0), line.index.view
        assert (view.versions, view.items) == (folded.versions, folded.items)
        assert begun.logs == line.index.logs
        prefixes = np.zeros((1, 0), np.uint16)
        while prefixes.shape[1] < 6:
            places, slots = view.trie.children(prefixes)
            expected_places, expected_slots = folded.trie.children(prefixes)
            np.testing.assert_array_equal(places, expected_places)
            np.testing.assert_array_equal(slots, expected_slots)
            prefixes = np.hstack([prefixes[places], slots[:, None]])
            np.testing.assert_array_equal(view.trie.count(prefixes), folded.trie.count(prefixes))
        ours, theirs = view.trie.items(prefixes, 1000), folded.trie.items(prefixes, 1000)
        for column in ("first", "shards", "ordinals", "bindings", "popularity"):
            np.testing.assert_array_equal(getattr(ours, column), getattr(theirs, column))
        assert len(ours.shards) > 550
        assert len(view.shards) == SHARDS
    finally:
        begun.close()
