"""The trie against plain sets of tuples: masks, hidden bindings and beam search."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import product

import numpy as np
import pytest
from pyroaring import BitMap
from tests.sinks.clauses import clause
from tests.sinks.next_slots import next_slots

from kae.encoders.categories import EMPTY, POSITIONS, Identifier, Slot
from kae.sinks.log.edits import DropItem, PutItem, ShardEdit
from kae.sinks.trie.beam import QueryClause, beam_search
from kae.sinks.trie.live_trie import LiveTrie
from kae.sinks.trie.shard_table import ShardTable
from kae.sinks.trie.trie import Trie

Bound = Mapping[int, Slot]


def put(ordinal: int, identifier: Identifier, popularity: float = 0.0) -> PutItem:
    return PutItem(f"i{ordinal}", ordinal, 1, b"", identifier, popularity, (), "", "", ())


def drop(ordinal: int) -> DropItem:
    return DropItem(f"i{ordinal}", ordinal, 2, b"")


def table(*deltas: list[ShardEdit]) -> ShardTable:
    made = ShardTable()
    for version, edits in enumerate(deltas, 1):
        made.apply(edits, version, offset=version)
    return made


def paths_of(trie: Trie) -> dict[tuple[int, int], set[tuple[Identifier, int]]]:
    """(shard, ordinal) -> (path, binding)."""
    found = defaultdict(set)
    for entry in range(len(trie.entries)):
        item = (int(trie.entries.shards[entry]), int(trie.entries.ordinals[entry]))
        found[item].add((trie.path_at(entry), int(trie.entries.bindings[entry])))
    return dict(found)


def random_line(seed: int) -> tuple[list[ShardTable], list[dict[int, BitMap]], Bound]:
    """Two shards of 300 items over few slots, a fifth dropped again; four bindings, one unknown."""
    rng = np.random.default_rng(seed)
    tables, attached = [], []
    for _ in range(2):
        identifiers = rng.integers(0, 4, (300, POSITIONS))
        edits: list[ShardEdit] = [
            put(ordinal, tuple(slots), float(rng.integers(0, 5)))
            for ordinal, slots in enumerate(identifiers.tolist())
        ]
        gone: list[ShardEdit] = [drop(int(o)) for o in rng.choice(300, 60, replace=False)]
        tables.append(table(edits, gone))
        live = np.flatnonzero(tables[-1].live)
        attached.append(
            {binding: BitMap(rng.choice(live, 20, replace=False)) for binding in (1, 2, 3, 4)}
        )
    return tables, attached, {1: Slot(0, 90), 2: Slot(0, 91), 3: Slot(5, 90)}


@pytest.fixture(params=range(3))
def line(request: pytest.FixtureRequest) -> tuple[list[ShardTable], list[dict[int, BitMap]], Bound]:
    return random_line(request.param)


def test_an_item_has_its_own_path_and_one_for_each_active_binding(
    line: tuple[list[ShardTable], list[dict[int, BitMap]], Bound],
) -> None:
    tables, attached, active = line
    expected: dict[tuple[int, int], set[tuple[Identifier, int]]] = {}
    for shard, (items, members) in enumerate(zip(tables, attached, strict=True)):
        for ordinal in np.flatnonzero(items.live).tolist():
            own = tuple(items.identifiers[:, ordinal].tolist())
            expected[shard, ordinal] = {(own, 0)}
            for binding, slot in active.items():
                if ordinal in members[binding]:
                    path = (*own[: slot.position], slot.index, *own[slot.position + 1 :])
                    expected[shard, ordinal].add((path, binding))
    assert paths_of(Trie.build(tables, attached, active)) == expected


def test_the_mask_allows_exactly_the_slots_above_a_live_item(
    line: tuple[list[ShardTable], list[dict[int, BitMap]], Bound],
) -> None:
    trie = Trie.build(*line)
    live = LiveTrie.all_live(trie)
    children = defaultdict(set)
    for paths in paths_of(trie).values():
        for path, _ in paths:
            for depth in range(POSITIONS):
                children[path[:depth]].add(path[depth])
    alphabet = (0, 1, 2, 3, 90, 91, 92)
    for depth in range(4):
        for prefix in product(alphabet, repeat=depth):
            assert next_slots(live, prefix) == sorted(children[prefix])
    for prefix in list(children):
        assert next_slots(live, prefix) == sorted(children[prefix])


def test_a_whole_path_has_nothing_after_it() -> None:
    trie = LiveTrie.all_live(Trie.build([table([put(0, (1, 2, 3, 4, 5, 6))])], [{}], {}))
    assert next_slots(trie, (1, 2, 3, 4, 5)) == [6]
    assert next_slots(trie, (1, 2, 3, 4, 5, 6)) == []


def test_without_live_items_nothing_can_be_decoded() -> None:
    trie = Trie.build([table([put(0, EMPTY)], [drop(0)])], [{1: BitMap([0])}], {1: Slot(0, 9)})
    live = LiveTrie.all_live(trie)
    assert live.path_count == 0
    assert trie.bindings == frozenset()
    assert next_slots(live, ()) == []
    assert beam_search(live, [clause(1.0, {Slot(0, 9): 1.0})], 5).nodes.tolist() == []


def test_an_unknown_binding_is_hidden() -> None:
    items = table([put(0, (1, 0, 0, 0, 0, 0))])
    hidden = Trie.build([items], [{7: BitMap([0])}], {})
    assert next_slots(LiveTrie.all_live(hidden), ()) == [1]
    shown = Trie.build([items], [{7: BitMap([0])}], {7: Slot(0, 99)})
    assert next_slots(LiveTrie.all_live(shown), ()) == [1, 99]
    assert shown.bindings == {7}


def test_a_trie_does_not_change_with_its_table() -> None:
    items = table([put(0, (1, 0, 0, 0, 0, 0))])
    view = Trie.build([items], [{}], {})
    items.apply([put(0, (2, 0, 0, 0, 0, 0)), put(1, (3, 0, 0, 0, 0, 0))], 2, 2)
    assert next_slots(LiveTrie.all_live(view), ()) == [1]
    assert next_slots(LiveTrie.all_live(Trie.build([items], [{}], {})), ()) == [2, 3]


@pytest.mark.parametrize("beam", [1, 7, 50, 10_000])
def test_a_beam_finds_the_paths_that_cover_most(
    line: tuple[list[ShardTable], list[dict[int, BitMap]], Bound], beam: int
) -> None:
    trie = Trie.build(*line)
    wants: list[tuple[float, dict[Slot, float]]] = [
        (0.5, {Slot(0, 90): 1.0, Slot(1, 2): 0.5, Slot(5, 90): 0.25}),
        (0.25, {Slot(1, 2): 1.0, Slot(4, 3): 1.0, Slot(5, 1): 0.5}),
        (0.125, {Slot(5, 3): 0.5, Slot(5, 2): 1.0}),
    ]

    def covered(path: Identifier) -> float:
        """Of each want the worth of the slot that is worth most, times its weight."""
        return sum(
            weight * max(slots.get(Slot(p, index), 0.0) for p, index in enumerate(path))
            for weight, slots in wants
        )

    every = {path for paths in paths_of(trie).values() for path, _ in paths}
    expected = [c for c in sorted(map(covered, every), reverse=True) if c > 0][:beam]
    wants_of = [clause(weight, slots) for weight, slots in wants]
    decoded = beam_search(LiveTrie.all_live(trie), wants_of, beam)
    assert decoded.coverage.tolist() == expected
    first_entries = trie.levels[-1].first_child[decoded.nodes]
    found = [trie.path_at(entry) for entry in first_entries]
    assert len(set(found)) == len(found)
    assert list(map(covered, found)) == expected


def test_a_slot_without_worth_is_worth_nothing() -> None:
    trie = Trie.build([table([put(0, (1, 0, 0, 0, 0, 0)), put(1, (9, 0, 0, 0, 0, 0))])], [{}], {})
    worth = [np.array([0.0, 1.0], np.float32)] + [np.zeros(0, np.float32)] * 5
    decoded = beam_search(LiveTrie.all_live(trie), [QueryClause(1.0, worth)], 5)
    entries = trie.levels[-1].first_child[decoded.nodes]
    assert [trie.path_at(entry)[0] for entry in entries] == [1]


def test_of_equal_coverage_the_beam_keeps_the_more_popular_path() -> None:
    items = table(
        [put(o, (1, o + 1, 0, 0, 0, 0), popularity) for o, popularity in enumerate((1.0, 9.0, 5.0))]
    )
    trie = Trie.build([items], [{}], {})
    decoded = beam_search(LiveTrie.all_live(trie), [clause(1.0, {Slot(0, 1): 1.0})], 2)
    entries = trie.levels[-1].first_child[decoded.nodes]
    assert [trie.path_at(entry)[1] for entry in entries] == [2, 3]
