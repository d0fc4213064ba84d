"""What a replica tells of the generations that it follows."""

import time
from collections.abc import Iterator

from kae.encoders.categories import Slot
from kae.encoders.codebook import Codebook
from kae.sinks.edits import BindSlot
from kae.streams.replica.answers import (
    CutoverShown,
    GenerationShown,
    GenerationsShown,
    TermStanding,
)
from kae.streams.replica.line import Line, Serving
from kae.streams.replica.receipts import attached_items
from kae.streams.replica.status import show_status
from kae.streams.replica.view import View


def show_generations(name: str, serving: Serving, *, hashed: bool) -> GenerationsShown:
    """One view of each generation; `hashed` reads every item of them once."""
    made = serving.book.made
    cutover = None
    if made is not None:
        one = made.cutover
        cutover = CutoverShown(
            made.offset, one.generation, one.previous, one.items, one.terms, one.by, one.reason,
            one.at_ms,
        )  # fmt: skip
    # All views before any is read: so they are of one moment.
    views = [(line, line.view()) for _, line in sorted(serving.lines.items())]
    return GenerationsShown(
        replica=name,
        serving=serving.line.generation,
        wanted=serving.book.serving,
        cutover=cutover,
        generations=[_generation(name, line, view, hashed) for line, view in views],
        problems=dict(serving.problems),
    )


def _generation(name: str, line: Line, view: View, hashed: bool) -> GenerationShown:
    freshness = line.gauge.reading(time.monotonic())
    status = show_status(name, line.index, line.leases, freshness, hashed=hashed, view=view)
    return GenerationShown(line.generation, status, list(_terms(line.codebook, view, hashed)))


def _terms(codebook: Codebook, view: View, counted: bool) -> Iterator[TermStanding]:
    decodable = view.trie.bindings
    for bound in sorted(view.visible.values(), key=lambda bound: bound.term):
        slot = codebook.slot_of(bound.category, bound.term)
        yield TermStanding(
            term=bound.term,
            revision=bound.revision,
            attached_items=attached_items(view, bound.binding),
            decodable=bound.binding in decodable,
            promoted=slot is not None,
            own_items=_own_items(view, bound, slot) if counted else None,
        )


def _own_items(view: View, bound: BindSlot, slot: Slot | None) -> int:
    """How many of a term's items have the codebook's own slot of the word."""
    if slot is None:
        return 0
    return sum(
        reader.item_at(ordinal).identifier[slot.position] == slot.index
        for reader in view.shards
        for ordinal in reader.attached.get(bound.binding, ())
    )
