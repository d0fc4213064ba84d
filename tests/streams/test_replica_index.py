"""What a replica folds, and what its views promise."""

import subprocess
import sys

import msgspec
import pytest
from tests.streams.followed import SHARDS, Followed

from kae.encoders.items import Item
from kae.sinks.log.edits import (
    GENESIS,
    Activate,
    Counts,
    Delta,
    Owned,
    SourceRange,
    encode_edit,
    encode_record,
)
from kae.sinks.log.fold import ForeignCodebook, LogCorrupt


def test_a_replica_holds_what_the_shards_hold(followed: Followed, catalog: list[Item]) -> None:
    followed.put(catalog[:400])
    followed.bind("quietcore", where='brand = "hp"')
    followed.spread_all()
    followed.put(catalog[300:600])
    followed.drop([item.id for item in catalog[100:150]])
    followed.bind("coolpack", match="black")
    followed.release("quietcore")
    followed.spread_all()
    followed.follow()
    hashes = [reader.content_hash() for reader in followed.index.view.shards]
    assert hashes == [shard.store.content_hash() for shard in followed.shards]
    assert followed.index.view.versions == tuple(
        shard.store.state.version for shard in followed.shards
    )
    assert followed.index.view.items == 550


def test_a_view_is_not_moved_by_what_is_folded_later(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog[:100])
    followed.follow()
    before = followed.index.view
    hashes = [reader.content_hash() for reader in before.shards]
    followed.drop([item.id for item in catalog[:100]])
    followed.follow()
    assert [reader.content_hash() for reader in before.shards] == hashes
    assert before.trie.entry_count == 100
    assert followed.index.view.trie.entry_count == 0
    assert {followed.index.view.shards[s].state.live for s in range(SHARDS)} == {0}


def test_items_that_keep_their_terms_leave_what_a_view_has_of_terms_as_it_is(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog[:100])
    followed.bind("quietcore", where='brand = "hp"')
    followed.spread_all()
    followed.follow()
    before = followed.index.view
    followed.put(catalog[:100])
    followed.follow()
    now = followed.index.view
    assert now.versions > before.versions
    assert now.terms is before.terms
    for reader, former in zip(now.shards, before.shards, strict=True):
        assert reader.attached is former.attached
    hp = [item for item in catalog[:100] if str(item.fields.get("brand")).lower() == "hp"]
    bound = next(iter(now.visible))
    members = [len(reader.attached[bound]) for reader in now.shards]
    followed.put([msgspec.structs.replace(hp[0], title="Other", fields={"brand": "Other"})])
    followed.follow()
    later = followed.index.view
    assert [len(reader.attached[bound]) for reader in now.shards] == members
    assert sum(len(reader.attached[bound]) for reader in later.shards) == sum(members) - 1
    assert later.trie.entry_count == now.trie.entry_count - 1
    followed.put([hp[0]])
    followed.follow()
    assert followed.index.view.trie.entry_count == now.trie.entry_count


def test_what_a_former_owner_appends_changes_nothing(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog[:50])
    followed.follow()
    views = followed.index.view.versions
    stale = Delta(0, 2, GENESIS, 0, 1, 0, SourceRange(), Counts(), ())
    followed.logs[0].append([encode_record(stale)])
    followed.follow()
    assert followed.index.view.versions == views
    assert followed.index.ignored == 1


def test_a_log_of_another_codebook_is_refused(followed: Followed) -> None:
    followed.logs[0].append([encode_record(Owned(2, b"n", "another", "another codebook"))])
    # The claim itself does not count, since this log has begun already.
    followed.follow()
    foreign = encode_record(Owned(1, b"n", "another", "another codebook"))
    fresh = Followed(followed.codebook, followed.shards[0].folder.parent / "fresh")
    try:
        with pytest.raises(ForeignCodebook, match="another codebook"):
            fresh.index.fold_shard(0, 0, foreign)
    finally:
        fresh.close()


@pytest.mark.parametrize("payload", [b"", b"not kae's", b"\x90"])
def test_bytes_that_are_no_record_stop_the_replica(followed: Followed, payload: bytes) -> None:
    with pytest.raises(LogCorrupt, match="did not write"):
        followed.index.fold_shard(0, 0, payload)


def test_a_bindings_edit_has_no_place_in_a_shards_log(followed: Followed) -> None:
    followed.follow()
    state = followed.index.logs[0]
    edits = (msgspec.Raw(encode_edit(Activate(1))),)
    wrong = Delta(state.epoch, 1, state.hash, 0, 1, 0, SourceRange(), Counts(), edits)
    with pytest.raises(LogCorrupt, match="no place in a shard's log"):
        followed.index.fold_shard(0, 1, encode_record(wrong))


def test_an_item_names_the_delta_that_put_it(followed: Followed, catalog: list[Item]) -> None:
    followed.put(catalog[:20])
    followed.put(catalog[:20])
    followed.follow()
    for shard, reader in enumerate(followed.index.view.shards):
        for item in reader.items():
            put = followed.index.put_at(shard, item.ordinal)
            assert put is not None
            assert (put.version, put.offset) == (2, 2)  # offset 0 is the claim


def test_a_replica_loads_nothing_that_only_workers_need() -> None:
    code = (
        "import sys, kae.streams.cli.replica, kae.streams.replica.process\n"
        "import kae.streams.codebooks.opening, kae.streams.kafka.topics\n"
        "heavy = {'torch', 'faust', 'mode', 'aiokafka', 'apache_beam', 'pyarrow'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
