"""Whether a model emits bound terms: unseen words, decoded from queries."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch
from pyroaring import BitMap

from kae.bench.emit_catalog import (
    EmitCatalog,
    EmitTerm,
    Identifiers,
    bound_terms,
    read_catalog,
    view_of,
)
from kae.bench.emit_model import Emitter
from kae.bench.emit_samples import Samples
from kae.streams.cli import terminal
from kae.streams.replica.decode import Decode

# An item counts when it is among so many.
FIRST = 10


class Asked(msgspec.Struct, frozen=True):
    """Of the terms, asked for one by one: how many were answered so.

    `decoded`: an identifier with the term's slot came out, which is a path of the term; null where
    there is no such slot. `items`: one of its items is among the first ten behind what came out.
    """

    decoded: int | None
    items: int


class Emitted(msgspec.Struct, frozen=True):
    """One model: each term asked for alone, and with a word that its items have too."""

    alone: Asked
    beside_a_word: Asked
    training_seconds: float
    parameters: int


class EmitReport(msgspec.Struct, frozen=True):
    """What `kae bench emit --json` prints. `by_chance` is how many terms would have an item among
    ten that are drawn from all."""

    self_routed: Emitted
    not_self_routed: Emitted
    rq_kmeans: Emitted
    terms: int
    items: int
    by_chance: float
    beam: int
    steps: int
    seed: int


def measure_emit(
    files: Sequence[Path], items: int, terms: int, steps: int, beam: int, seed: int
) -> EmitReport:
    """Raises: ValueError when there are more terms than reserved slots."""
    torch.set_num_threads(1)  # sums are added in one order, so the figures come again
    terminal.err.print(f"reading {items:,} items", highlight=False)
    catalog = read_catalog(files, items, seed)
    bound = bound_terms(catalog, terms, seed)

    def measured(name: str, identifiers: Identifiers, *, known: bool, routed: bool) -> Emitted:
        terminal.err.print(f"training: {name}", highlight=False)
        samples = Samples(catalog, identifiers, known=known, routed=routed, seed=seed)
        model = Emitter(samples, seed)
        took = model.train(steps)
        # Bound after the training, as operations do it.
        decode = Decode(view_of(identifiers, bound if known else ()), catalog.codebook)
        alone, beside_a_word = (
            _asked(model, samples, decode, bound, beam, beside=beside, known=known)
            for beside in (False, True)
        )
        return Emitted(alone, beside_a_word, round(took, 1), model.parameters)

    return EmitReport(
        self_routed=measured("self-routing", catalog.identifiers, known=True, routed=True),
        not_self_routed=measured("no self-routing", catalog.identifiers, known=True, routed=False),
        rq_kmeans=measured("residual k-means", catalog.codes, known=False, routed=False),
        terms=terms,
        items=len(catalog.identifiers),
        by_chance=round(_by_chance(catalog, bound), 1),
        beam=beam,
        steps=steps,
        seed=seed,
    )


def _asked(
    model: Emitter,
    samples: Samples,
    decode: Decode,
    terms: Sequence[EmitTerm],
    beam: int,
    *,
    beside: bool,
    known: bool,
) -> Asked:
    decoded = items = 0
    for term in terms:
        paths = model.emitted(samples.asked(term, beside=beside), decode, beam)
        decoded += bool((paths[:, term.slot.position] == term.slot.index).any())
        behind = decode.behind(paths, FIRST).ordinals
        _, places = np.unique(behind, return_index=True)
        first = behind[np.sort(places)][:FIRST]
        items += bool(term.items.intersection_cardinality(BitMap(first)))
    return Asked(decoded if known else None, items)


def _by_chance(catalog: EmitCatalog, terms: Sequence[EmitTerm]) -> float:
    share = FIRST / len(catalog.identifiers)
    return sum(1 - (1 - share) ** len(term.items) for term in terms)
