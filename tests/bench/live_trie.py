"""A trie of recombined items that keeps changing, and the prefixes that a beam asks it for."""

import multiprocessing
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from kae.bench.live import BenchFailed
from kae.bench.recombined_items import Identifiers
from kae.encoders.categories import POSITIONS
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.codebook.tokens import TokenLayout
from kae.encoders.query import BoundTerms, QueryEncoder
from kae.sinks.log.edits import DropItem, PutItem, ShardEdit
from kae.sinks.postings.statistics import WordStatistics
from kae.sinks.terms.bindings import Bindings
from kae.sinks.trie.base_trie import BaseTrie
from kae.sinks.trie.prefixes import Prefixes
from kae.sinks.trie.shard_table import ShardTable
from kae.sinks.trie.trie_writer import TrieWriter
from kae.streams.replica.decode import Decode
from kae.streams.replica.shared_views_writer import SharedViewsWriter
from kae.streams.replica.view import View
from kae.streams.replica.view_schedule import PAUSE_PER_BUILD, PAUSE_SECONDS
from kae.streams.runtime.interpreter import set_for_indexing

SHARDS = 8
BEAM = 512
EDITS_A_DELTA = 20
# Of a model that has learned how frequent slots are: what a wanted slot is worth beside that.
WANTED = 6.0

ByDepth = list[list[Prefixes]]


class Stopping(Protocol):
    """What an event says to who writes, of a thread or of a process."""

    def wait(self, timeout: float) -> bool: ...


class LiveTrie:
    """Shards' tables and their trie, written by one thread as a replica's follower does it."""

    def __init__(self, identifiers: Identifiers) -> None:
        self.identifiers = identifiers
        self._bases = ThreadPoolExecutor(1)
        self._trie = TrieWriter(SHARDS, self._build_beside)
        self._tables = [ShardTable() for _ in range(SHARDS)]
        self._versions = [0] * SHARDS
        self._chance = random.Random(5)
        for shard, table in enumerate(self._tables):
            mine = identifiers[shard::SHARDS]
            for first in range(0, len(mine), 10_000):
                some = mine[first : first + 10_000]
                self._apply(shard, [_put(first + n, row) for n, row in enumerate(some.tolist())])
            table.popularity[: len(mine)] = np.random.default_rng(shard).random(len(mine))
        self.view = self._view(0)
        self.edits = 0
        self.views = 0
        self.slowest_view_seconds = 0.0
        self.written_seconds = 0.0

    def close(self) -> None:
        self._bases.shutdown()

    @contextmanager
    def written(self, edits_a_second: int) -> Iterator[None]:
        """Edits are applied, and views swapped, by a thread beside."""
        stopping, failure = threading.Event(), []

        def write() -> None:
            try:
                self._write(edits_a_second, stopping)
            except BaseException as error:
                failure.append(error)

        thread = threading.Thread(target=write)
        began = time.perf_counter()
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()
            self.written_seconds += time.perf_counter() - began
        if failure:
            raise failure[0]

    @contextmanager
    def written_beside(
        self, edits_a_second: int, share: SharedViewsWriter, codebook: Codebook
    ) -> Iterator[None]:
        """Edits are applied, and views laid, by a process beside; what is here stays as it is."""
        forking = multiprocessing.get_context("fork")
        stopping = forking.Event()

        def write() -> None:
            # Of threads a fork has the one that called.
            self._bases = ThreadPoolExecutor(1)
            set_for_indexing()
            self._write(edits_a_second, stopping, lambda view: share.write(view, codebook))
            self._bases.shutdown()

        process = forking.Process(target=write)
        process.start()
        try:
            yield
        finally:
            stopping.set()
            process.join()
        if process.exitcode:
            raise BenchFailed(f"the process that writes beside ended with {process.exitcode}")

    def _write(
        self,
        edits_a_second: int,
        stopping: Stopping,
        on_view: Callable[[View], None] = lambda _view: None,
    ) -> None:
        began = next_view = time.perf_counter()
        first_edits = self.edits
        while not stopping.wait(EDITS_A_DELTA / edits_a_second / 4):
            now = time.perf_counter()
            while self.edits - first_edits < (now - began) * edits_a_second:
                self._change()
            if now >= next_view:
                self.view = self._view(self.view.number + 1)
                on_view(self.view)
                took = time.perf_counter() - now
                self.views += 1
                self.slowest_view_seconds = max(self.slowest_view_seconds, took)
                next_view = now + took + max(PAUSE_SECONDS, PAUSE_PER_BUILD * took)

    @property
    def trie_bytes(self) -> int:
        """The arrays of the view's base and overlay."""
        return array_bytes(self.view.trie)

    def _build_beside(self, build: Callable[[], BaseTrie]) -> "Future[BaseTrie]":
        return self._bases.submit(build)

    def _change(self) -> None:
        """One delta: items of a shard are dropped, or put with other identifiers."""
        shard = self._chance.randrange(SHARDS)
        items = len(self.identifiers) // SHARDS
        rows = self.identifiers[self._chance.choices(range(len(self.identifiers)), k=EDITS_A_DELTA)]
        edits: list[ShardEdit] = []
        for row in rows.tolist():
            ordinal = self._chance.randrange(items)
            dropped = self._chance.random() < 0.25
            edits.append(DropItem("", ordinal, 2, b"") if dropped else _put(ordinal, row))
        self._apply(shard, edits)
        self.edits += len(edits)

    def _apply(self, shard: int, edits: Sequence[ShardEdit]) -> None:
        self._versions[shard] += 1
        self._trie.note(shard, self._tables[shard].apply(edits, self._versions[shard], 0))

    def _view(self, number: int) -> View:
        none: list[dict[int, BitMap]] = [{} for _ in range(SHARDS)]
        return View(
            number=number,
            generation=1,
            bindings=Bindings(),
            visible={},
            next_change_ms=None,
            bindings_offset=-1,
            terms=BoundTerms(),
            trie=self._trie.refresh(self._tables, none, {}),
            word_statistics=WordStatistics(()),
            stale=(),
            shards=(),
            swapped_ms=0,
            built_seconds=0.0,
            oldest_delta_ms=None,
        )


def array_bytes(part: object) -> int:
    """The memory of all arrays in it, each counted once."""
    arrays = {id(array): array.nbytes for array in _arrays(part)}
    return sum(arrays.values())


def _arrays(part: object) -> Iterator[NDArray[Any]]:
    if isinstance(part, np.ndarray):
        yield part
    elif is_dataclass(part):
        for field in fields(part):
            yield from _arrays(getattr(part, field.name))
    elif isinstance(part, tuple):
        for one in part:
            yield from _arrays(one)


def _put(ordinal: int, row: list[int]) -> PutItem:
    a, b, c, d, e, f = row
    return PutItem("", ordinal, 1, b"", (a, b, c, d, e, f), 0.0, (), "", "", ())


def beams_of(
    queries: Sequence[str], decode: Decode, codebook: Codebook, own: Identifiers
) -> ByDepth:
    """The prefixes of each depth that beams of real queries hold.

    The model's place is taken by how frequent each slot is, and by what the query wants.
    """
    layout = TokenLayout.of(codebook, 0)
    encoder = QueryEncoder(codebook)
    frequent = np.concatenate(
        [
            np.log(np.bincount(own[:, p], minlength=capacity) + 0.5)
            for p, capacity in enumerate(layout.capacities)
        ]
    )
    found: ByDepth = [[] for _ in range(POSITIONS)]
    for query in queries:
        scores = frequent.copy()
        for clause in encoder.encode(query, BoundTerms()).clauses:
            for slot, worth in clause.slots.items():
                scores[layout.tokens_of(slot.position).start + slot.index] += WANTED * worth
        for depth, prefixes in enumerate(_beam(scores, decode, layout)):
            found[depth].append(prefixes)
    return found


def _beam(scores: NDArray[np.float64], decode: Decode, layout: TokenLayout) -> Iterator[Prefixes]:
    tokens, totals = np.zeros((1, 0), np.int64), np.zeros(1)
    for _ in range(POSITIONS):
        yield np.resize(layout.slots(tokens)[0], (BEAM, tokens.shape[1]))
        step = np.tile(scores, (len(tokens), 1))
        decode.constrain(layout, tokens, step)
        whole = (totals[:, None] + step).ravel()
        best = np.argpartition(-whole, BEAM)[:BEAM]
        best = best[np.isfinite(whole[best])]
        tokens = np.column_stack([tokens[best // layout.size], best % layout.size])
        totals = whole[best]


def widest(decode: Decode, own: Identifiers) -> ByDepth:
    """At each depth the 512 prefixes with the most children."""
    found: ByDepth = [[np.zeros((BEAM, 0), np.uint16)]]
    for depth in range(1, POSITIONS):
        prefixes = np.unique(own[:, :depth], axis=0)
        places, _ = decode.children(prefixes)
        degrees = np.bincount(places, minlength=len(prefixes))
        found.append([np.resize(prefixes[np.argsort(-degrees)[:BEAM]], (BEAM, depth))])
    return found


def seconds_of(
    call: Callable[[Prefixes], object], batches: Sequence[Prefixes], times: int
) -> list[float]:
    """Of each call; the batches come round in turn."""
    took = []
    for turn in range(times):
        prefixes = batches[turn % len(batches)]
        began = time.perf_counter()
        call(prefixes)
        took.append(time.perf_counter() - began)
    return took
