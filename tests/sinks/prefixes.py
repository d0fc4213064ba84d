"""Prefixes as arrays, and masks as plain lists, for tests that ask for one at a time."""

from collections.abc import Sequence

import numpy as np

from kae.encoders.categories import POSITIONS
from kae.sinks.trie import decoding
from kae.sinks.trie.layer import Layer
from kae.sinks.trie.layers import Layers
from kae.sinks.trie.prefixes import Prefixes
from kae.sinks.trie.stack import Stack
from kae.sinks.trie.trie import TrieView

NOTHING = Layer.whole(TrieView.of([]))


def batch(prefixes: Sequence[Sequence[int]], depth: int) -> Prefixes:
    return np.array(prefixes, np.uint16).reshape(len(prefixes), depth)


def next_slots(trie: Layer | Layers, prefix: Sequence[int]) -> list[int]:
    """What may follow one prefix."""
    if len(prefix) == POSITIONS:
        return []
    stack = Stack(trie, NOTHING) if isinstance(trie, Layer) else trie.stack
    _, slots = decoding.children(stack, batch([prefix], len(prefix)))
    return [int(slot) for slot in slots]
