"""The view: one version of every log, with all that an answer needs, swapped as one reference."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pyroaring import BitMap

from kae.encoders.categories import Slot
from kae.encoders.query import BoundTerms
from kae.sinks.log.edits import BindSlot, DropItem, PutItem
from kae.sinks.postings.statistics import WordStatistics
from kae.sinks.store.reader import StoreReader
from kae.sinks.terms.bindings import Bindings
from kae.sinks.trie.merged_trie import ViewTrie
from kae.streams.kafka.partitioner import partition_of
from kae.streams.replica_api.answers import Version

# A pinned item: binding, shard, ordinal.
Pinned = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class View:
    """One version of the index; it never changes once it is in use."""

    number: int  # counts the views of this process
    generation: int
    bindings: Bindings
    visible: Mapping[int, BindSlot]  # the bindings that readers see at the moment of this view
    next_change_ms: int | None  # when time alone changes what is visible
    bindings_offset: int  # of the log record that made this version; -1: none
    terms: BoundTerms
    trie: ViewTrie
    word_statistics: WordStatistics
    stale: tuple[BitMap, ...]  # by shard, the items whose `word_statistics` may be out of date
    shards: tuple[StoreReader, ...]
    swapped_ms: int
    built_seconds: float
    oldest_delta_ms: int | None  # of the deltas that the previous view did not have; None: none
    pins: Mapping[int, tuple[str, ...]] = field(default_factory=dict)  # item ids, by binding

    @property
    def version(self) -> Version:
        """What an answer from this view names."""
        return Version(self.generation, self.number, self.bindings.version, self.versions)

    @property
    def versions(self) -> tuple[int, ...]:
        """The version of each shard's log."""
        return tuple(reader.state.version for reader in self.shards)

    @property
    def items(self) -> int:
        """How many items are live."""
        return sum(reader.state.live for reader in self.shards)

    def shard_of(self, item_id: str) -> int:
        return partition_of(item_id, len(self.shards))

    def item(self, item_id: str) -> PutItem | DropItem | None:
        """The newest edit of an item; None if the log has none."""
        return self.shards[self.shard_of(item_id)].item(item_id)

    def live_item(self, item_id: str) -> PutItem | None:
        """The item with this id; None if no live item has it."""
        item = self.item(item_id)
        return item if isinstance(item, PutItem) else None

    def attached_items(self, binding: int) -> int:
        """How many items a binding is attached to, over all shards."""
        return sum(len(reader.attached.get(binding, ())) for reader in self.shards)

    def pinned_items(self, bindings: Iterable[int]) -> list[Pinned]:
        """The live pinned items of some bindings, in the order of the pins.

        A view keeps ids, not ordinals: an item that was dropped and put again has another ordinal.
        """
        return [
            (binding, self.shard_of(item_id), item.ordinal)
            for binding in bindings
            for item_id in self.pins.get(binding, ())
            if (item := self.live_item(item_id)) is not None
        ]

    def at(self, at_ms: int) -> "View":
        """This view without the terms that have ended by a moment.

        The next view lacks them too, but it is late where the logs cannot be read.
        """
        if self.next_change_ms is None or at_ms < self.next_change_ms:
            return self
        ended = {binding for binding, bound in self.visible.items() if not bound.is_valid_at(at_ms)}
        if not ended:
            return self
        visible = {b: bound for b, bound in self.visible.items() if b not in ended}
        trie = self.trie.without_bindings(ended)
        terms, pins = terms_of(visible), pins_of(visible)
        return replace(self, visible=visible, terms=terms, trie=trie, pins=pins)


@dataclass(frozen=True, slots=True)
class Visible:
    """The bindings that readers see, and all that follows from them alone."""

    made_of: tuple[Bindings, int]  # and the version of them that every shard has attached
    from_ms: int
    next_change_ms: int | None
    bound: Mapping[int, BindSlot]
    slots: Mapping[int, Slot]
    terms: BoundTerms
    pins: Mapping[int, tuple[str, ...]]

    @staticmethod
    def of(bindings: Bindings, reached: int, at_ms: int) -> "Visible":
        """What readers see at a moment; `reached` is the version that every shard has attached."""
        bound = bindings.visible(at_ms, reached)
        slots, terms, pins = slots_of(bound), terms_of(bound), pins_of(bound)
        next_change_ms = bindings.next_change_after(at_ms)
        return Visible((bindings, reached), at_ms, next_change_ms, bound, slots, terms, pins)

    def holds_at(self, bindings: Bindings, reached: int, at_ms: int) -> bool:
        """Whether `of` would return the same again."""
        return (
            self.made_of[0] is bindings
            and self.made_of[1] == reached
            and self.from_ms <= at_ms
            and (self.next_change_ms is None or at_ms < self.next_change_ms)
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
