"""The mask of some paths: what may come next, and nothing after what begins none of them."""

import random

import numpy as np

from kae.sinks.trie.path_mask import PathMask

CAPACITIES = (4, 3, 5, 2, 2, 9)
PATHS = np.array(
    [(1, 2, 0, 1, 0, 8), (1, 2, 4, 0, 0, 0), (3, 0, 0, 0, 0, 0), (1, 2, 4, 0, 0, 0)], np.uint16
)


def allowed(mask: PathMask, *prefixes: tuple[int, ...]) -> list[list[int]]:
    depth = len(prefixes[0])
    found = mask(np.array(prefixes, np.uint16).reshape(len(prefixes), depth))
    assert found.shape == (len(prefixes), CAPACITIES[depth])
    return [np.flatnonzero(row).tolist() for row in found]


def test_only_slots_of_the_paths_may_come_next() -> None:
    mask = PathMask(PATHS, CAPACITIES)
    assert allowed(mask, ()) == [[1, 3]]
    assert allowed(mask, (1,), (3,), (0,), (2,)) == [[2], [0], [], []]
    assert allowed(mask, (1, 2), (3, 0), (1, 0)) == [[0, 4], [0], []]
    assert allowed(mask, (1, 2, 0, 1, 0), (1, 2, 4, 0, 0), (3, 0, 0, 0, 1)) == [[8], [0], []]


def test_no_paths_allow_nothing() -> None:
    mask = PathMask(np.zeros((0, 6), np.uint16), CAPACITIES)
    assert allowed(mask, ()) == [[]]
    assert allowed(mask, (1, 2, 0)) == [[]]


def test_any_paths_allow_what_a_search_through_them_finds() -> None:
    chance = random.Random(5)
    paths = [tuple(chance.randrange(min(n, 3)) for n in CAPACITIES) for _ in range(60)]
    mask = PathMask(np.array(paths, np.uint16), CAPACITIES)
    for depth in range(6):
        prefixes = [path[:depth] for path in paths]
        prefixes += [tuple(chance.randrange(n) for n in CAPACITIES[:depth]) for _ in range(40)]
        expected = [sorted({p[depth] for p in paths if p[:depth] == one}) for one in prefixes]
        assert allowed(mask, *prefixes) == expected
