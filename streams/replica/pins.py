"""Pins: the items that come first within a term, as a view has them.

Ids become ordinals when an answer needs them: an item that went and came again has another one.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from kae.sinks.log.edits import PutItem
from kae.sinks.trie.decoding import Entered, nowhere
from kae.sinks.trie.ranges import Indices
from kae.streams.kafka.partitioner import partition_of
from kae.streams.replica.view import View

Pinned = tuple[int, int, int]  # binding, shard, ordinal


def pinned_items(view: View, bindings: Iterable[int]) -> list[Pinned]:
    """The live pinned items of some bindings, in their order."""
    return [
        (binding, *place)
        for binding in bindings
        for item_id in view.pins.get(binding, ())
        for place in _place_of(view, item_id)
    ]


def _place_of(view: View, item_id: str) -> Iterator[tuple[int, int]]:
    shard = partition_of(item_id, len(view.shards))
    item = view.shards[shard].item(item_id)
    if isinstance(item, PutItem):
        yield shard, item.ordinal


def pin_places(view: View, entered: Entered) -> Indices:
    """Where each entry stands among the pins of the term that led to it; UNPINNED where at none."""
    if not view.pins:
        return nowhere(entered)
    return places_among(pinned_items(view, np.unique(entered.bindings).tolist()), entered)


def places_among(pinned: Iterable[Pinned], entered: Entered) -> Indices:
    """The same, of pins that are known."""
    places = nowhere(entered)
    for place, (binding, shard, ordinal) in enumerate(pinned):
        is_item = (entered.shards == shard) & (entered.ordinals == ordinal)
        places[is_item & (entered.bindings == binding)] = place
    return places
