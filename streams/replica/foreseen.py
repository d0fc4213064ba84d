"""A view as it would be with one term more: for a search with it before it is bound."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from kae.encoders.categories import POSITIONS, Identifier
from kae.sinks.edits import BindingEdit, BindSlot
from kae.sinks.trie import Entries
from kae.streams.replica.view import View, terms_of

# Of an item that the term would lead to: shard, ordinal, identifier, popularity.
Member = tuple[int, int, Identifier, float]


def foreseen(view: View, edits: Iterable[BindingEdit], members: Sequence[Member]) -> View:
    """The view after the registrar's edits for one bind, attached to these items, and active."""
    bindings = view.bindings.copy()
    added: list[BindSlot] = []
    for edit in edits:
        bindings.edit(edit, bindings.version + 1, view.swapped_ms)
        if isinstance(edit, BindSlot):
            added.append(edit)
    replaced = {bound.replaces for bound in added}
    visible = {
        binding: bound
        for binding, bound in view.visible.items()
        if binding in bindings.bound and binding not in replaced
    }
    trie = view.trie.hiding(view.visible.keys() - visible.keys())
    for bound in added:
        trie = trie.showing(list(_paths(bound, members, len(view.shards))))
        visible[bound.binding] = bound
    return replace(view, bindings=bindings, visible=visible, terms=terms_of(visible), trie=trie)


def _paths(bound: BindSlot, members: Sequence[Member], shards: int) -> Iterable[Entries]:
    """The paths that a binding adds to its members, a piece a shard."""
    for shard in range(shards):
        mine = [member for member in members if member[0] == shard]
        slots = np.array([member[2] for member in mine], np.uint16).reshape(-1, POSITIONS).T.copy()
        slots[bound.position] = bound.index
        yield Entries(
            slots,
            np.full(len(mine), shard, np.uint16),
            np.array([member[1] for member in mine], np.uint32),
            np.full(len(mine), bound.binding, np.int64),
            np.full(len(mine), bound.position + 1, np.uint8),
            np.array([member[3] for member in mine], np.float32),
        )
