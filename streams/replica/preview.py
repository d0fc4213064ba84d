"""Previews: what binding a term would do to one view, and what a search would find with it.

The selector is resolved as a shard's owner resolves it, and the registrar's own planning decides
about the slots, so a bind does what its preview shows if nothing changes in between.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from time import perf_counter
from typing import NamedTuple

import numpy as np

from kae.encoders.categories import CATEGORIES, CATEGORY_INDEX, POSITIONS, Identifier
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.selector import compile_selector
from kae.encoders.vocabulary.similar_words import MeaningNeighbours, SpellingNeighbours
from kae.sinks.log.edits import BindingEdit, BindSlot, Deactivate, Propose, PutItem, encode_edit
from kae.sinks.log.term_changes import Bind, plan_hash
from kae.sinks.postings.selection import select_items
from kae.sinks.terms.draft import NO_APPROVALS, TermPolicy
from kae.sinks.terms.plan import plan_terms
from kae.sinks.trie.trie import Entries
from kae.streams.clock import now_ms
from kae.streams.events.envelope import Undecodable
from kae.streams.events.terms import decode_term, rules_of
from kae.streams.replica.collisions import collisions_of
from kae.streams.replica.explain import describe_capacity
from kae.streams.replica.search import Search
from kae.streams.replica.view import View, pins_of, terms_of
from kae.streams.replica_api import words
from kae.streams.replica_api.terms import (
    GroupCount,
    Plan,
    Previewed,
    Room,
    Sampled,
    SideBySide,
    Size,
    WordCount,
)
from kae.streams.topology.types import Topology

SAMPLE = 10
WORDS_OF_A_GROUP = 5
BRANDS_SHOWN = 20
BRAND = CATEGORY_INDEX["brand"]


class TermItem(NamedTuple):
    """An item that the term would lead to."""

    shard: int
    ordinal: int
    identifier: Identifier
    popularity: float


def view_with_term(view: View, edits: Iterable[BindingEdit], members: Sequence[TermItem]) -> View:
    """The view as it would be with one term more, active and attached to these items.

    `edits` are the registrar's for the bind.
    """
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
    trie = view.trie.without_bindings(view.visible.keys() - visible.keys())
    for bound in added:
        trie = trie.with_binding(list(_paths(bound, members, len(view.shards))))
        visible[bound.binding] = bound
    terms, pins = terms_of(visible), pins_of(visible)
    return replace(view, bindings=bindings, visible=visible, terms=terms, trie=trie, pins=pins)


def _paths(bound: BindSlot, members: Sequence[TermItem], shards: int) -> Iterable[Entries]:
    """The paths that a binding adds to its members, one piece for each shard."""
    for shard in range(shards):
        mine = [member for member in members if member.shard == shard]
        identifiers = np.array([member.identifier for member in mine], np.uint16)
        slots = identifiers.reshape(-1, POSITIONS).T.copy()
        slots[bound.position] = bound.index
        yield Entries(
            slots,
            np.full(len(mine), shard, np.uint16),
            np.array([member.ordinal for member in mine], np.uint32),
            np.full(len(mine), bound.binding, np.int64),
            np.full(len(mine), bound.position + 1, np.uint8),
            np.array([member.popularity for member in mine], np.float32),
        )


@dataclass(slots=True)
class _Tally:
    """Counts of the selected items, added one by one."""

    ids: list[str] = field(default_factory=list)
    slots: Counter[tuple[int, int]] = field(default_factory=Counter)
    brands: Counter[str] = field(default_factory=Counter)
    paths: set[tuple[int, ...]] = field(default_factory=set)
    members: list[TermItem] = field(default_factory=list)

    def add(self, shard: int, item: PutItem, position: int) -> None:
        identifier = item.identifier
        self.ids.append(item.id)
        self.members.append(TermItem(shard, item.ordinal, identifier, item.popularity))
        self.slots.update((p, index) for p, index in enumerate(identifier) if index)
        self.brands.update({one.word for one in item.attributes if one.category == BRAND})
        # The slot is free, so each path by it is new.
        self.paths.add((*identifier[:position], *identifier[position + 1 :]))


class Previewer:
    """Previews the terms of one generation."""

    def __init__(self, codebook: Codebook, topology: Topology, search: Search) -> None:
        self._codebook = codebook
        self._search = search
        self._likeness = SpellingNeighbours(codebook)
        self._meanings = MeaningNeighbours(codebook)
        self._rules = rules_of(topology, codebook.position_of)
        self._reserved = {position: codebook.reserved(position) for position in range(POSITIONS)}
        terms = topology.terms
        self._policy = TermPolicy(terms.approvals, terms.plan_tolerance_percent)
        self._event_bytes = topology.limits.event_bytes

    @property
    def event_bytes(self) -> int:
        """The size of the largest event that it decodes."""
        return self._event_bytes

    def preview(self, view: View, event: bytes, query: str = "") -> Previewed:
        """What a bind event would do, and a query find, if the event was registered now.

        Raises: Undecodable.
        """
        return self._preview(view, self._decoded(event), len(event), query)

    def preview_proposed(self, view: View, term: str, query: str = "") -> Previewed | None:
        """The same for a bind that waits for approval; None if no bind of the term does.

        `term` is normalised.
        """
        proposal = view.bindings.proposals.get(term)
        if proposal is None or not isinstance(proposal.change, Bind):
            return None
        # Without the proposal itself, which would make the change stale and hold its slot.
        bindings = view.bindings.copy()
        del bindings.proposals[term]
        size = len(encode_edit(proposal))
        return self._preview(replace(view, bindings=bindings), proposal.change, size, query)

    def _preview(self, view: View, change: Bind, event_bytes: int, query: str) -> Previewed:
        began = perf_counter()
        tally = _Tally()
        sample = nsmallest(SAMPLE, self._counted(view, change, tally), key=_prominence)
        refused, awaits_approval = self._refusal(view, change)
        # As if it was approved: a proposal takes no slot.
        edits = plan_terms(view.bindings, [change], self._reserved, NO_APPROVALS).edits
        return Previewed(
            version=view.version,
            term=change.term,
            aliases=change.aliases,
            category=CATEGORIES[change.category],
            items=len(tally.ids),
            identifiers=len(tally.paths),
            sample=[self._sampled(item) for item in sample],
            groups=self._groups(tally),
            brands=_counts(tally.brands.most_common(), BRANDS_SHOWN),
            brands_in_all=len(tally.brands),
            collisions=collisions_of(self._likeness, self._meanings, view, change),
            room=self._room(view, change, edits),
            size=Size(
                event_bytes,
                self._event_bytes,
                len(change.selector.items),
                self._rules.items_per_selector,
            ),
            plan=Plan(plan_hash(change, tally.ids), len(tally.ids), self._policy.tolerance_percent),
            refused=refused,
            awaits_approval=awaits_approval,
            from_ms=change.from_ms or None,
            until_ms=change.until_ms or None,
            search=self._side_by_side(view, edits, tally, query) if query and not refused else None,
            took_ms=round((perf_counter() - began) * 1000, 3),
        )

    def _decoded(self, event: bytes) -> Bind:
        change = decode_term(None, event, self._event_bytes, now_ms(), self._rules)
        if isinstance(change, Bind):
            return change
        raise Undecodable(
            f"type: the event asks for a {type(change).__name__}; send kae.term.bind.v1",
            "type.unpreviewable",
        )

    def _side_by_side(
        self, view: View, edits: Sequence[BindingEdit], tally: _Tally, query: str
    ) -> SideBySide:
        views = (view, view_with_term(view, edits, tally.members))
        now, then = (self._search.answer(one, query, SAMPLE).items for one in views)
        return SideBySide(query, now, then)

    def _counted(self, view: View, bind: Bind, tally: _Tally) -> Iterable[PutItem]:
        selector = compile_selector(bind.selector, self._codebook.form)
        for shard, (reader, postings, stale) in enumerate(
            zip(view.shards, view.word_statistics.shards, view.stale, strict=True)
        ):
            for item in select_items(reader, postings, stale, selector):
                tally.add(shard, item, bind.position)
                yield item

    def _refusal(self, view: View, bind: Bind) -> tuple[str | None, bool]:
        """Why the registrar would refuse it now, and whether it would wait for approval."""
        plan = plan_terms(view.bindings, [bind], self._reserved, self._policy)
        if plan.counts.stale:
            newest = view.bindings.newest_revision(bind.term)
            stale = f"{bind.term!r}: revision {bind.revision} is stale, the term has {newest}"
            return f"{stale}; give a higher --revision, or leave it out", False
        cause = plan.refused[0].cause if plan.refused else None
        return cause, any(isinstance(edit, Propose) for edit in plan.edits)

    def _room(self, view: View, bind: Bind, edits: Sequence[BindingEdit]) -> Room:
        capacity = describe_capacity(self._codebook, view)[bind.position]
        return Room(
            position=bind.position,
            group=capacity.group,
            needed=1,
            free=capacity.free,
            reserved=capacity.reserved,
            released=sum(isinstance(edit, Deactivate) for edit in edits),
        )

    def _sampled(self, item: PutItem) -> Sampled:
        return Sampled(item.id, item.title, words.own_words(self._codebook, item))

    def _groups(self, tally: _Tally) -> list[GroupCount]:
        by_position: list[list[tuple[str, int]]] = [[] for _ in range(POSITIONS)]
        for (position, index), items in tally.slots.most_common():
            word = words.slot_word(self._codebook, None, position, index) or ""
            by_position[position].append((word, items))
        return [
            GroupCount(
                position,
                group.name,
                sum(items for _, items in counted),
                _counts(counted, WORDS_OF_A_GROUP),
            )
            for (position, group), counted in zip(
                enumerate(self._codebook.groups), by_position, strict=True
            )
        ]


def _prominence(item: PutItem) -> tuple[float, str]:
    return -item.popularity, item.id


def _counts(counted: list[tuple[str, int]], most: int) -> list[WordCount]:
    """The most frequent first; equally frequent ones in alphabetical order."""
    ordered = sorted(counted, key=lambda one: (-one[1], one[0]))
    return [WordCount(word, items) for word, items in ordered[:most]]
