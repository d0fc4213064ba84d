"""The view: one version of every log, all that an answer needs, swapped as one reference."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pyroaring import BitMap

from kae.encoders.categories import Slot
from kae.encoders.query import BoundTerms
from kae.sinks.log.edits import BindSlot
from kae.sinks.postings.statistics import WordStatistics
from kae.sinks.store.reader import StoreReader
from kae.sinks.terms.bindings import Bindings
from kae.sinks.trie.layers import Layers


@dataclass(frozen=True, slots=True)
class View:
    """One version of the index; never changed once it is in use."""

    number: int  # counts the views of this process
    generation: int
    bindings: Bindings
    visible: Mapping[int, BindSlot]  # the bindings that readers see, at the moment of this view
    turns_ms: int | None  # when that changes by time alone
    bindings_offset: int  # of the log record that made this version; -1: none
    terms: BoundTerms
    trie: Layers
    said: WordStatistics
    unheard: tuple[BitMap, ...]  # of each shard, the items that may say other than `said`
    shards: tuple[StoreReader, ...]
    swapped_ms: int
    built_seconds: float
    oldest_delta_ms: int | None  # of the deltas that the view before this one had not; None: none
    pins: Mapping[int, tuple[str, ...]] = field(default_factory=dict)  # item ids, by binding

    @property
    def versions(self) -> tuple[int, ...]:
        """The version of each shard's log."""
        return tuple(reader.state.version for reader in self.shards)

    def at(self, at_ms: int) -> "View":
        """This view as it may be read at a moment: without the terms that have ended since.

        The next view lacks them too; it is late where logs cannot be read.
        """
        if self.turns_ms is None or at_ms < self.turns_ms:
            return self
        over = {binding for binding, bound in self.visible.items() if not bound.is_valid_at(at_ms)}
        if not over:
            return self
        visible = {b: bound for b, bound in self.visible.items() if b not in over}
        trie = self.trie.hiding(over)
        terms, pins = terms_of(visible), pins_of(visible)
        return replace(self, visible=visible, terms=terms, trie=trie, pins=pins)

    @property
    def items(self) -> int:
        return sum(reader.state.live for reader in self.shards)


@dataclass(frozen=True, slots=True)
class Visible:
    """What readers see of the terms, and all that follows from that alone."""

    made_of: tuple[Bindings, int]  # and which version of them every shard has attached
    from_ms: int
    turns_ms: int | None
    bound: Mapping[int, BindSlot]
    slots: Mapping[int, Slot]
    terms: BoundTerms
    pins: Mapping[int, tuple[str, ...]]

    @staticmethod
    def of(bindings: Bindings, reached: int, at_ms: int) -> "Visible":
        bound = bindings.visible(at_ms, reached)
        turns_ms = bindings.next_change_after(at_ms)
        slots, terms, pins = slots_of(bound), terms_of(bound), pins_of(bound)
        return Visible((bindings, reached), at_ms, turns_ms, bound, slots, terms, pins)

    def holds_at(self, bindings: Bindings, reached: int, at_ms: int) -> bool:
        """Whether it would be the same if it was made again."""
        return (
            self.made_of[0] is bindings
            and self.made_of[1] == reached
            and self.from_ms <= at_ms
            and (self.turns_ms is None or at_ms < self.turns_ms)
        )


def slots_of(visible: Mapping[int, BindSlot]) -> dict[int, Slot]:
    """The reserved slot of every visible binding."""
    return {binding: Slot(bound.position, bound.index) for binding, bound in visible.items()}


def pins_of(visible: Mapping[int, BindSlot]) -> dict[int, tuple[str, ...]]:
    """The pinned items of every visible binding that has some."""
    return {b: bound.selector.pins for b, bound in visible.items() if bound.selector.pins}


def terms_of(visible: Mapping[int, BindSlot]) -> BoundTerms:
    """The visible bindings as an overlay for queries: each term and its aliases."""
    return BoundTerms(
        (bound.binding, form, Slot(bound.position, bound.index))
        for bound in visible.values()
        for form in (bound.term, *bound.aliases)
    )
