"""The view: one version of every log, all that an answer needs, swapped as one reference."""

from dataclasses import dataclass

from kae.encoders.categories import Slot
from kae.encoders.query import BoundTerms
from kae.sinks.bindings import Bindings
from kae.sinks.layers import Layers
from kae.sinks.said import Said
from kae.sinks.store_reader import StoreReader


@dataclass(frozen=True, slots=True)
class View:
    """One version of the index; never changed once it is in use."""

    number: int  # counts the views of this process
    generation: int
    bindings: Bindings
    bindings_offset: int  # of the log record that made this version; -1: none
    terms: BoundTerms
    trie: Layers
    said: Said
    shards: tuple[StoreReader, ...]
    swapped_ms: int
    built_seconds: float
    oldest_delta_ms: int | None  # of the deltas that the view before this one had not; None: none

    @property
    def versions(self) -> tuple[int, ...]:
        """The version of each shard's log."""
        return tuple(reader.state.version for reader in self.shards)

    @property
    def items(self) -> int:
        return sum(reader.state.live for reader in self.shards)


def slots_of(bindings: Bindings) -> dict[int, Slot]:
    """The reserved slot of every active binding."""
    return {b.binding: Slot(b.position, b.index) for b in bindings.active.values()}


def terms_of(bindings: Bindings) -> BoundTerms:
    """The active bindings as an overlay for queries: each term and its aliases."""
    return BoundTerms(
        (bound.binding, form, Slot(bound.position, bound.index))
        for bound in bindings.active.values()
        for form in (bound.term, *bound.aliases)
    )
