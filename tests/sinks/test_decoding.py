"""Decoding of a view against plain sets of paths, and over a million random walks."""

import random
import threading
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.sinks.changing_shards import ChangingShards
from tests.sinks.next_slots import batch

from kae.encoders.categories import POSITIONS, Identifier
from kae.sinks.trie import decoding, trie_writer
from kae.sinks.trie.decoding import PathItems, PrefixInvalid
from kae.sinks.trie.merged_trie import ViewTrie
from kae.sinks.trie.prefixes import Prefixes

WIDTH = 112

# (popularity, shard, ordinal, binding) of the live items behind each path.
Lived = Mapping[Identifier, set[tuple[float, int, int, int]]]


@pytest.fixture(autouse=True)
def small_overlay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trie_writer, "OVERLAY_ENTRIES", 60)


def lived(shards: ChangingShards) -> Lived:
    """Every path of every live item, from the tables alone."""
    found: defaultdict[Identifier, set[tuple[float, int, int, int]]] = defaultdict(set)
    for shard, (table, attached) in enumerate(zip(shards.tables, shards.attached, strict=True)):
        for ordinal in np.flatnonzero(table.live).tolist():
            own = tuple(table.identifiers[:, ordinal].tolist())
            popularity = float(table.popularity[ordinal])
            found[own].add((popularity, shard, ordinal, 0))
            for binding, slot in shards.active.items():
                if ordinal in attached.get(binding, ()):
                    path = (*own[: slot.position], slot.index, *own[slot.position + 1 :])
                    found[path].add((popularity, shard, ordinal, binding))
    return found


def prefixes_of(paths: Lived, depth: int) -> Prefixes:
    """Those that are alive, each with a neighbour that may not be."""
    alive = sorted({path[:depth] for path in paths})
    beside = [(*prefix[:-1], prefix[-1] + 1) for prefix in alive if prefix]
    both = [*alive, *beside]
    random.Random(depth).shuffle(both)
    return batch(both, depth)


def without(paths: Lived, bindings: Collection[int]) -> Lived:
    left = {p: {one for one in items if one[3] not in bindings} for p, items in paths.items()}
    return {path: items for path, items in left.items() if items}


def behind(found: PathItems, path: int) -> list[tuple[float, int, int, int]]:
    chosen = slice(found.first[path], found.first[path + 1])
    columns = (found.popularity, found.shards, found.ordinals, found.bindings)
    return list(zip(*(column[chosen].tolist() for column in columns), strict=True))


def check(trie: ViewTrie, paths: Lived, asked: Lived | None = None) -> None:
    """Of the prefixes of `asked`, which may be more than are alive."""
    for depth in range(POSITIONS + 1):
        prefixes = prefixes_of(asked or paths, depth)
        below: defaultdict[tuple[int, ...], set[tuple[int, int]]] = defaultdict(set)
        following: defaultdict[tuple[int, ...], set[int]] = defaultdict(set)
        for path, items in paths.items():
            below[path[:depth]] |= {(shard, ordinal) for _, shard, ordinal, _ in items}
            following[path[:depth]] |= {*path[depth : depth + 1]}
        rows = [tuple(row) for row in prefixes.tolist()]
        assert decoding.count(trie.merged, prefixes).tolist() == [len(below[row]) for row in rows]
        if depth == POSITIONS:
            continue
        mask = decoding.mask(trie.merged, prefixes, WIDTH)
        assert [set(np.flatnonzero(row).tolist()) for row in mask] == [following[r] for r in rows]
        places, slots = decoding.children(trie.merged, prefixes)
        assert places.tolist() == np.nonzero(mask)[0].tolist()
        assert slots.tolist() == np.nonzero(mask)[1].tolist()
        for most in (0, 10, decoding.FEW):
            few = decoding.few_children(trie.merged, prefixes, most)
            assert few is not None or most < decoding.FEW
            if few is not None:
                assert len(few[0]) <= 3 * most  # of the base, of what has changed, of the overlay
                assert sorted(zip(*few, strict=True)) == [*zip(places, slots, strict=True)]
    for limit in (1, 3, 1000):
        found = decoding.items(trie.merged, prefixes, limit)
        for place, row in enumerate(rows):
            ranked = sorted(paths.get(row, ()), key=lambda item: (-item[0], *item[1:]))
            assert behind(found, place) == ranked[:limit]


actions = st.lists(
    st.sampled_from(("one item", "few items", "many items", "term", "base")), max_size=12
)


@pytest.mark.long
@settings(max_examples=60, deadline=None)
@given(actions, st.integers(0, 2**32), st.sampled_from((2, 4, 40)))
def test_a_view_answers_as_plain_sets_do_after_any_edits(
    sequence: list[str], seed: int, slots: int
) -> None:
    shards = ChangingShards(seed, slots)
    check(shards.refresh(), {})
    before: Lived = {}
    for action in sequence:
        match action:
            case "one item" | "few items" | "many items":
                shards.change({"one item": 1, "few items": 8, "many items": 150}[action])
            case "term":
                shards.bind_or_release()
            case "base":
                shards.executor.finish()
        trie, paths = shards.refresh(), lived(shards)
        check(trie, paths, {**before, **paths})
        over = sorted(shards.active)[::2]
        check(trie.without_bindings(over), without(paths, over), paths)
        before = paths


def test_a_batch_may_repeat_prefixes_or_be_empty() -> None:
    shards = ChangingShards(1)
    shards.change(200)
    trie = shards.refresh()
    one = batch([(1, 2)], 2)
    assert (
        decoding.mask(trie.merged, np.repeat(one, 5, 0), WIDTH)
        == decoding.mask(trie.merged, one, WIDTH)
    ).all()
    assert decoding.mask(trie.merged, one[:0], WIDTH).shape == (0, WIDTH)
    assert decoding.mask(trie.merged, batch([(), ()], 0), WIDTH).shape == (2, WIDTH)
    assert decoding.count(trie.merged, one[:0]).tolist() == []
    assert decoding.items(trie.merged, batch([], POSITIONS), 5).first.tolist() == [0]


def test_a_mask_narrower_than_what_is_in_use_is_refused() -> None:
    shards = ChangingShards(1)
    shards.change(200)
    with pytest.raises(PrefixInvalid, match=r"position 1: slot 3 is in use.* has 3 slots"):
        decoding.mask(shards.refresh().merged, batch([(1,)], 1), 3)


@pytest.mark.parametrize(
    "prefixes",
    [
        np.zeros((2, POSITIONS), np.uint16),
        np.zeros((2, 1), np.int64),
        np.zeros(2, np.uint16),
    ],
)
def test_prefixes_of_another_kind_are_refused(prefixes: Prefixes) -> None:
    with pytest.raises(PrefixInvalid, match="give uint16 of shape"):
        decoding.mask(ChangingShards(1).refresh().merged, prefixes, WIDTH)


# Invariant: no path without a live item can be decoded.

WALKS = 1_000_000
WALKERS = 4_000
RADIX = 16

Paths = NDArray[np.int64]


class Views(Iterator[tuple[ViewTrie, Paths]]):
    """Views of a shards that a thread goes on changing, each with its live paths as numbers."""

    def __init__(self) -> None:
        self.shards = ChangingShards(7, slots=6, reserved=8)
        self.swapped = 0
        self.current = self.swap()
        self.stopping = threading.Event()
        self.failure: list[BaseException] = []
        self.thread = threading.Thread(target=self.run)

    def swap(self) -> tuple[ViewTrie, Paths]:
        self.swapped += 1
        return self.shards.refresh(), self.live_paths()

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                self.shards.change(self.shards.chance.choice((1, 20, 100)))
                if self.shards.chance.random() < 0.3:
                    self.shards.bind_or_release()
                if self.shards.chance.random() < 0.1:
                    self.shards.executor.finish()
                self.current = self.swap()
        except BaseException as error:
            self.failure.append(error)

    def live_paths(self) -> Paths:
        pieces = []
        for table, attached in zip(self.shards.tables, self.shards.attached, strict=True):
            pieces.append(table.identifiers[:, table.live])
            for binding in attached.keys() & self.shards.active.keys():
                members = np.array(attached[binding].to_array(), np.int64)
                bound = table.identifiers[:, members[table.live[members]]]
                bound[self.shards.active[binding].position] = self.shards.active[binding].index
                pieces.append(bound)
        return numbered(np.concatenate(pieces, 1).T)

    def __next__(self) -> tuple[ViewTrie, Paths]:
        return self.current


def numbered(paths: Prefixes) -> Paths:
    return np.unique(paths.astype(np.int64) @ RADIX ** np.arange(POSITIONS))


def walk(trie: ViewTrie, rng: np.random.Generator) -> Prefixes:
    """Walkers that take any slot that the mask allows them, at every step."""
    paths = np.zeros((WALKERS, 0), np.uint16)
    for _ in range(POSITIONS):
        mask = decoding.mask(trie.merged, paths, RADIX)
        allowed = mask.sum(1)
        assert allowed.all(), "a walker came where nothing may follow"
        choice = (rng.random(WALKERS) * allowed).astype(np.int64)
        slots = (mask.cumsum(1) > choice[:, None]).argmax(1)
        paths = np.column_stack([paths, slots.astype(np.uint16)])
    return paths


@pytest.mark.timeout(300)
def test_a_million_random_walks_under_edits_decode_no_dead_identifier() -> None:
    views = Views()
    while not len(views.current[1]):
        views.shards.change(300)
        views.current = views.swap()
    rng = np.random.default_rng(11)
    walked = decoded = 0
    views.thread.start()
    try:
        while walked < WALKS or views.swapped < 50:
            trie, live = next(views)
            found = numbered(walk(trie, rng))
            assert np.isin(found, live).all()
            walked += WALKERS
            decoded += len(found)
    finally:
        views.stopping.set()
        views.thread.join()
    assert not views.failure
    assert decoded > walked / 100
