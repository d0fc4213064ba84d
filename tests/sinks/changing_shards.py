"""Shards that change at random, for tests of the tries that a writer makes of them."""

import random
from collections.abc import Callable
from concurrent.futures import Future
from itertools import count

import numpy as np
from pyroaring import BitMap

from kae.encoders.categories import POSITIONS, Identifier, Slot
from kae.sinks.log.edits import DropItem, PutItem, ShardEdit
from kae.sinks.trie.base_trie import BaseTrie
from kae.sinks.trie.merged_trie import ViewTrie
from kae.sinks.trie.shard_table import ShardTable
from kae.sinks.trie.trie import Trie
from kae.sinks.trie.trie_writer import TrieWriter

SHARDS = 2
ITEMS = 400


class LateExecutor:
    """Builds a base when told to, as another thread would some time later."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], BaseTrie], Future[BaseTrie]]] = []

    def __call__(self, build: Callable[[], BaseTrie]) -> "Future[BaseTrie]":
        future: Future[BaseTrie] = Future()
        self.waiting.append((build, future))
        return future

    def finish(self) -> None:
        for build, future in self.waiting:
            future.set_result(build())
        self.waiting.clear()


class ChangingShards:
    """Tables and attachments that change at random, and the writer of their tries."""

    def __init__(self, seed: int, slots: int = 4, reserved: int = 90) -> None:
        self.slots, self.reserved = slots, reserved
        self.chance = random.Random(seed)
        self.executor = LateExecutor()
        self.writer = TrieWriter(SHARDS, self.executor)
        self.tables = [ShardTable() for _ in range(SHARDS)]
        self.attached: list[dict[int, BitMap]] = [{} for _ in range(SHARDS)]
        self.active: dict[int, Slot] = {}
        self.versions = [0] * SHARDS
        self.bindings = 0

    def change(self, items: int) -> None:
        """Put and drop some items of one shard, and bind or release a term now and then."""
        shard = self.chance.randrange(SHARDS)
        edits: dict[int, ShardEdit] = {}
        moved = BitMap()
        for _ in range(items):
            ordinal = self.chance.randrange(ITEMS)
            if self.chance.random() < 0.2:
                edits[ordinal] = DropItem(f"i{ordinal}", ordinal, 2, b"")
            else:
                a, b, c, d, e, f = (self.chance.randrange(self.slots) for _ in range(6))
                identifier: Identifier = (a, b, c, d, e, f)
                popularity = float(self.chance.randrange(3))
                edits[ordinal] = PutItem(
                    f"i{ordinal}", ordinal, 1, b"", identifier, popularity, (), "", "", ()
                )
        self.versions[shard] += 1
        changed = self.tables[shard].apply(edits.values(), self.versions[shard], 0)
        members = {b: m.copy() for b, m in self.attached[shard].items()}
        for ordinal, edit in edits.items():
            for held in members.values():
                joins = isinstance(edit, PutItem) and self.chance.random() < 0.5
                if joins != (ordinal in held):
                    moved.add(ordinal)
                    held.add(ordinal) if joins else held.discard(ordinal)
        self.attached[shard] = members
        self.writer.note(shard, changed | moved)

    def bind_or_release(self) -> None:
        if len(self.active) > 3 or (self.active and self.chance.random() < 0.3):
            binding = self.chance.choice(sorted(self.active))
            del self.active[binding]
            for shard in range(SHARDS):
                kept = dict(self.attached[shard])
                kept.pop(binding, None)
                self.attached[shard] = kept
            return
        # A binding's id is never used again.
        self.bindings += 1
        binding = self.bindings
        taken = set(self.active.values())
        self.active[binding] = next(
            slot
            for slot in (Slot(binding % POSITIONS, index) for index in count(self.reserved))
            if slot not in taken
        )
        for shard in range(self.chance.choice((1, SHARDS))):
            live = np.flatnonzero(self.tables[shard].live).tolist()
            members = BitMap(self.chance.sample(live, len(live) // 3))
            self.attached[shard] = {**self.attached[shard], binding: members}

    def refresh(self) -> ViewTrie:
        return self.writer.refresh(self.tables, tuple(self.attached), dict(self.active))

    def rebuild(self) -> Trie:
        return Trie.build(self.tables, self.attached, self.active)
