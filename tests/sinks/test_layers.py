"""Layers against a trie that is built anew from the same tables after every change."""

import numpy as np
import pytest
from tests.sinks.changing import ITEMS, SHARDS, World
from tests.sinks.prefixes import next_slots
from tests.sinks.wants import wanted

from kae.encoders.categories import Identifier, Slot
from kae.sinks.log.edits import PutItem
from kae.sinks.trie import growing
from kae.sinks.trie.beam import Decoded, decode, decode_all
from kae.sinks.trie.layer import Layer
from kae.sinks.trie.layers import Layers


def entries(layer: Layer) -> set[tuple[Identifier, int, int, int]]:
    """(path, shard, ordinal, binding) of the live entries."""
    found = layer.trie.entries
    return {
        (
            layer.trie.path_at(entry),
            int(found.shards[entry]),
            int(found.ordinals[entry]),
            int(found.bindings[entry]),
        )
        for entry in np.flatnonzero(layer.is_live(np.arange(len(found)))).tolist()
    }


def compare(layers: Layers, whole: Layer) -> None:
    base, overlay = entries(layers.base), entries(layers.overlay)
    assert not base & overlay
    assert base | overlay == entries(whole)
    assert layers.entries == len(whole.trie.entries)
    assert layers.paths == whole.paths
    assert layers.bindings == whole.trie.bindings
    prefixes: list[tuple[int, ...]] = [()]
    for prefix in prefixes:
        allowed = next_slots(whole, prefix)
        assert next_slots(layers, prefix) == allowed
        if len(prefix) < 3:
            prefixes += [(*prefix, index) for index in (*allowed, 7)]


@pytest.fixture(autouse=True)
def small_overlay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bases come often in a world of hundreds of items."""
    monkeypatch.setattr(growing, "OVERLAY_ENTRIES", 60)


@pytest.mark.parametrize("seed", range(6))
def test_layers_are_what_a_trie_built_anew_is(seed: int) -> None:
    world = World(seed)
    bases = set()
    for step in range(60):
        for _ in range(world.chance.randrange(3)):
            world.change(world.chance.choice((1, 5, 300)))
        if world.chance.random() < 0.4:
            world.bind_or_release()
        if world.chance.random() < 0.5:
            world.beside.finish()
        layers = world.layers()
        compare(layers, Layer.whole(world.rebuilt()))
        bases.add(id(layers.whole))
        for shard in range(SHARDS):
            for ordinal in world.chance.sample(range(ITEMS), 5):
                expected = sorted(
                    (binding, path)
                    for path, s, o, binding in entries(Layer.whole(world.rebuilt()))
                    if (s, o) == (shard, ordinal)
                )
                assert layers.paths_of(shard, ordinal) == expected
        if step == 30:
            world.beside.finish()
    assert len(bases) > 2


@pytest.mark.parametrize("seed", range(3))
def test_what_is_out_is_not_moved_by_later_changes(seed: int) -> None:
    world = World(seed)
    world.change(300)
    world.bind_or_release()
    layers = world.layers()
    before = entries(layers.base) | entries(layers.overlay)
    for _ in range(20):
        world.change(50)
        world.bind_or_release()
        world.beside.finish()
        world.layers()
    assert entries(layers.base) | entries(layers.overlay) == before


@pytest.mark.parametrize("seed", range(4))
def test_a_beam_over_layers_covers_what_one_over_the_whole_covers(seed: int) -> None:
    world = World(seed)
    for _ in range(12):
        world.change(60)
        world.bind_or_release()
        layers = world.layers()
    wants = [
        wanted(0.5, {Slot(0, 1): 1.0, Slot(1, 2): 0.5}),
        wanted(0.25, {Slot(3, 3): 0.5, Slot(2, 92): 1.0}),
    ]
    whole = Layer.whole(world.rebuilt())
    for beam in (1, 10, 1000):
        expected = best(whole, decode(whole, wants, beam))
        found = [
            path
            for layer, decoded in zip(
                layers.stack.layers, decode_all(layers.stack.layers, wants, beam), strict=True
            )
            for path in best(layer, decoded)
        ]
        assert len(found) <= beam
        assert max(covered for covered, _ in found) == max(covered for covered, _ in expected)
    assert set(found) == set(expected)  # of a beam that holds them all


def best(layer: Layer, decoded: Decoded) -> list[tuple[float, Identifier]]:
    """(coverage, path) of what was decoded."""
    first = layer.trie.levels[-1].first_child[decoded.nodes].tolist()
    paths = [layer.trie.path_at(entry) for entry in first]
    return list(zip(decoded.coverage.tolist(), paths, strict=True))


def test_an_item_put_again_as_it_was_costs_no_overlay() -> None:
    world = World(0)
    world.change(300)
    layers = world.layers()
    table = world.tables[0]
    again = [
        PutItem(f"i{o}", o, 9, b"", tuple(table.identifiers[:, o].tolist()),
                float(table.popularity[o]), (), "", "", ())
        for o in np.flatnonzero(table.live).tolist()
    ]  # fmt: skip
    world.trie.note(0, table.apply(again, 99, 0))
    assert len(world.layers().overlay.trie.entries) == len(layers.overlay.trie.entries)
