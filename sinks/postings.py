"""Which items of a shard a selector matches, by scanning its store."""

from collections.abc import Sequence

from pyroaring import BitMap

from kae.encoders.selector import Compiled
from kae.sinks.edits import ShardEdit
from kae.sinks.store import ShardStore


class Postings:
    """Resolves selectors against the items of one store."""

    def __init__(self, store: ShardStore) -> None:
        self._store = store

    def note(self, edits: Sequence[ShardEdit]) -> None:
        """Take notice of the edits that were applied."""

    def resolve(self, selector: Compiled) -> BitMap:
        """The ordinals of the live items that `selector` matches."""
        return BitMap(
            item.ordinal
            for item in self._store.items()
            if selector.matches(item.id, item.text, item.attributes)
        )
