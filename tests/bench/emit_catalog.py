"""What a small model learns to emit: identifiers of real items, and words bound to some of them.

Two kinds of identifiers with the same capacities: kae's, whose reserved slots can be bound, and
residual k-means codes of the titles, where a word has no slot.
"""

import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from kae.encoders.categories import POSITIONS, Slot
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.fitting.build import build_codebook
from kae.encoders.fitting.closed_codebooks import embed, residual_kmeans
from kae.encoders.query import BoundTerms
from kae.encoders.text.normal_form import normalise
from kae.sinks.log.edits import ItemHead
from kae.sinks.postings.statistics import WordStatistics
from kae.sinks.terms.bindings import Bindings
from kae.sinks.trie.shard_table import ShardTable
from kae.sinks.trie.trie_writer import TrieWriter
from kae.streams.catalog.rows import read_items
from kae.streams.replica.view import View
from kae.streams.topology.types import Topology

Identifiers = NDArray[np.uint16]
# Of each position, the empty slot and the reserved ones included.
CAPACITY, RESERVED = 256, 64
# A term is bound to the items of a word that so many have.
FEWEST, MOST = 2, 10


@dataclass(frozen=True, slots=True)
class EmitCatalog:
    """Items by ordinal: their identifiers, their codes, and the words that each slot says."""

    codebook: Codebook
    identifiers: Identifiers
    codes: Identifiers
    words: dict[Slot, str]
    under: dict[Slot, BitMap]

    def said_of(self, ordinal: int) -> list[Slot]:
        """The slots of an item that say a word."""
        row = enumerate(self.identifiers[ordinal].tolist())
        return [Slot(position, index) for position, index in row if index]


@dataclass(frozen=True, slots=True)
class EmitTerm:
    """A word that no model has seen, on a reserved slot, and a word that its items have too."""

    slot: Slot
    items: BitMap
    beside: Slot


def read_catalog(files: Sequence[Path], items: int, seed: int) -> EmitCatalog:
    """The first items of a catalog, with a codebook of their own."""
    topology = Topology.load()
    read = list(islice(read_items(files, topology.catalog), items))
    groups = [replace(g, capacity=CAPACITY, reserved=RESERVED) for g in topology.codebook_groups]
    with tempfile.TemporaryDirectory(prefix="kae-bench-") as folder:
        codebook = build_codebook(lambda: read, groups, topology.catalog.fields, Path(folder))
    encoded = Encoder(codebook).encode_all(read)
    identifiers = np.array([one.identifier for one in encoded], np.uint16)
    titles = embed([normalise(item.title) for item in read], seed)
    codes = residual_kmeans(titles, [CAPACITY] * POSITIONS, seed).astype(np.uint16)
    under: dict[Slot, BitMap] = {}
    for ordinal, row in enumerate(identifiers.tolist()):
        for position, index in enumerate(row):
            if index:
                under.setdefault(Slot(position, index), BitMap()).add(ordinal)
    words = {slot: _word(codebook, slot) for slot in under}
    return EmitCatalog(codebook, identifiers, codes, words, under)


def _word(codebook: Codebook, slot: Slot) -> str:
    found = codebook.word_at(slot.position, slot.index)
    if found is None:
        raise LookupError(f"no word of the codebook has {slot}, yet an item does")
    return found[1]


def bound_terms(catalog: EmitCatalog, count: int, seed: int) -> list[EmitTerm]:
    """Terms on different reserved slots, the positions in turn.

    Raises: ValueError when there are more terms than reserved slots.
    """
    if count > POSITIONS * RESERVED:
        raise ValueError(f"{count} terms; there are {POSITIONS * RESERVED} reserved slots")
    chance = random.Random(seed)
    few = sorted(slot for slot, found in catalog.under.items() if FEWEST <= len(found) <= MOST)
    terms = []
    for number in range(count):
        position, nth = number % POSITIONS, number // POSITIONS
        slot = Slot(position, catalog.codebook.reserved(position)[nth])
        items = catalog.under[chance.choice(few)]
        said = Counter(
            one for item in items for one in catalog.said_of(item) if one.position != position
        )
        if not said:
            raise ValueError(f"items {list(items)} say nothing but at position {position}")
        terms.append(EmitTerm(slot, items, said.most_common(1)[0][0]))
    return terms


def view_of(identifiers: Identifiers, terms: Sequence[EmitTerm]) -> View:
    """The index of these items with terms bound, as a replica has it."""
    table = ShardTable()
    heads = [_head(ordinal, row) for ordinal, row in enumerate(identifiers.tolist())]
    attached = {number + 1: term.items for number, term in enumerate(terms)}
    with ThreadPoolExecutor(1) as bases:
        trie = TrieWriter(1, bases.submit)
        trie.note(0, table.apply(heads, 1, 0))
        active = {number + 1: term.slot for number, term in enumerate(terms)}
        view_trie = trie.refresh([table], [attached], active)
    return View(
        number=0,
        generation=1,
        bindings=Bindings(),
        visible={},
        next_change_ms=None,
        bindings_offset=-1,
        terms=BoundTerms(),
        trie=view_trie,
        word_statistics=WordStatistics(()),
        stale=(),
        shards=(),
        swapped_ms=0,
        built_seconds=0.0,
        oldest_delta_ms=None,
    )


def _head(ordinal: int, row: list[int]) -> ItemHead:
    a, b, c, d, e, f = row
    return ItemHead(str(ordinal), ordinal, 1, b"", (a, b, c, d, e, f), 0.0, ())
