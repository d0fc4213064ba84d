"""Prefixes as arrays and masks as plain lists, for tests of one prefix at a time."""

from collections.abc import Sequence

import numpy as np

from kae.encoders.categories import POSITIONS
from kae.sinks.trie import decoding
from kae.sinks.trie.live_trie import LiveTrie
from kae.sinks.trie.merged_trie import MergedTrie, ViewTrie
from kae.sinks.trie.prefixes import Prefixes
from kae.sinks.trie.trie import Trie

NOTHING = LiveTrie.all_live(Trie.of([]))


def batch(prefixes: Sequence[Sequence[int]], depth: int) -> Prefixes:
    return np.array(prefixes, np.uint16).reshape(len(prefixes), depth)


def next_slots(trie: LiveTrie | ViewTrie, prefix: Sequence[int]) -> list[int]:
    """What may follow one prefix."""
    if len(prefix) == POSITIONS:
        return []
    merged = MergedTrie(trie, NOTHING) if isinstance(trie, LiveTrie) else trie.merged
    _, slots = decoding.children(merged, batch([prefix], len(prefix)))
    return [int(slot) for slot in slots]
