"""A view's merged trie against one that is built anew from the same tables after every change."""

import numpy as np
import pytest
from tests.sinks.changing_shards import ITEMS, SHARDS, ChangingShards
from tests.sinks.clauses import clause
from tests.sinks.next_slots import next_slots

from kae.encoders.categories import Identifier, Slot
from kae.sinks.log.edits import PutItem
from kae.sinks.trie import trie_writer
from kae.sinks.trie.beam import BeamPaths, beam_search, beam_search_all
from kae.sinks.trie.live_trie import LiveTrie
from kae.sinks.trie.merged_trie import ViewTrie


def entries(live: LiveTrie) -> set[tuple[Identifier, int, int, int]]:
    """(path, shard, ordinal, binding) of the live entries."""
    found = live.trie.entries
    return {
        (
            live.trie.path_at(entry),
            int(found.shards[entry]),
            int(found.ordinals[entry]),
            int(found.bindings[entry]),
        )
        for entry in np.flatnonzero(live.is_live(np.arange(len(found)))).tolist()
    }


def compare(merged: ViewTrie, whole: LiveTrie) -> None:
    base, overlay = entries(merged.base), entries(merged.overlay)
    assert not base & overlay
    assert base | overlay == entries(whole)
    assert merged.entry_count == len(whole.trie.entries)
    assert merged.path_count == whole.path_count
    assert merged.bindings == whole.trie.bindings
    prefixes: list[tuple[int, ...]] = [()]
    for prefix in prefixes:
        allowed = next_slots(whole, prefix)
        assert next_slots(merged, prefix) == allowed
        if len(prefix) < 3:
            prefixes += [(*prefix, index) for index in (*allowed, 7)]


@pytest.fixture(autouse=True)
def small_overlay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bases come often in a shards of hundreds of items."""
    monkeypatch.setattr(trie_writer, "OVERLAY_ENTRIES", 60)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
def test_a_merged_trie_equals_one_built_anew(seed: int) -> None:
    shards = ChangingShards(seed)
    bases = set()
    for step in range(60):
        for _ in range(shards.chance.randrange(3)):
            shards.change(shards.chance.choice((1, 5, 300)))
        if shards.chance.random() < 0.4:
            shards.bind_or_release()
        if shards.chance.random() < 0.5:
            shards.executor.finish()
        merged = shards.refresh()
        compare(merged, LiveTrie.all_live(shards.rebuild()))
        bases.add(id(merged.base_trie))
        for shard in range(SHARDS):
            for ordinal in shards.chance.sample(range(ITEMS), 5):
                expected = sorted(
                    (binding, path)
                    for path, s, o, binding in entries(LiveTrie.all_live(shards.rebuild()))
                    if (s, o) == (shard, ordinal)
                )
                assert merged.paths_of(shard, ordinal) == expected
        if step == 30:
            shards.executor.finish()
    assert len(bases) > 2


@pytest.mark.parametrize("seed", range(3))
def test_a_view_does_not_change_when_items_do(seed: int) -> None:
    shards = ChangingShards(seed)
    shards.change(300)
    shards.bind_or_release()
    merged = shards.refresh()
    before = entries(merged.base) | entries(merged.overlay)
    for _ in range(20):
        shards.change(50)
        shards.bind_or_release()
        shards.executor.finish()
        shards.refresh()
    assert entries(merged.base) | entries(merged.overlay) == before


@pytest.mark.parametrize("seed", range(4))
def test_a_beam_over_both_parts_covers_what_one_over_the_whole_covers(seed: int) -> None:
    shards = ChangingShards(seed)
    for _ in range(12):
        shards.change(60)
        shards.bind_or_release()
        merged = shards.refresh()
    wants = [
        clause(0.5, {Slot(0, 1): 1.0, Slot(1, 2): 0.5}),
        clause(0.25, {Slot(3, 3): 0.5, Slot(2, 92): 1.0}),
    ]
    whole = LiveTrie.all_live(shards.rebuild())
    for beam in (1, 10, 1000):
        expected = best(whole, beam_search(whole, wants, beam))
        found = [
            path
            for part, decoded in zip(
                merged.merged.parts, beam_search_all(merged.merged.parts, wants, beam), strict=True
            )
            for path in best(part, decoded)
        ]
        assert len(found) <= beam
        assert max(covered for covered, _ in found) == max(covered for covered, _ in expected)
    assert set(found) == set(expected)  # of a beam that holds them all


def best(live: LiveTrie, decoded: BeamPaths) -> list[tuple[float, Identifier]]:
    """(coverage, path) of what was decoded."""
    first = live.trie.levels[-1].first_child[decoded.nodes].tolist()
    paths = [live.trie.path_at(entry) for entry in first]
    return list(zip(decoded.coverage.tolist(), paths, strict=True))


def test_an_item_put_again_unchanged_adds_nothing_to_the_overlay() -> None:
    shards = ChangingShards(0)
    shards.change(300)
    merged = shards.refresh()
    table = shards.tables[0]
    again = [
        PutItem(f"i{o}", o, 9, b"", tuple(table.identifiers[:, o].tolist()),
                float(table.popularity[o]), (), "", "", ())
        for o in np.flatnonzero(table.live).tolist()
    ]  # fmt: skip
    shards.writer.note(0, table.apply(again, 99, 0))
    assert len(shards.refresh().overlay.trie.entries) == len(merged.overlay.trie.entries)
