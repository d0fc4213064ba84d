"""The journal: when and where each binding was attached, applied, decodable and released.

It remembers what the logs say about terms beyond the newest state, so that a receipt can tell each
stage with its time. It is a fold as well: a replica that begins again has the same journal, but for
the moments at which views came into use. Of the terms that are released it remembers the newest
RELEASED_KEPT; of the others a receipt says that they are released, and not when.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kae.sinks.log.edits import (
    Activate,
    Attach,
    BindSlot,
    Deactivate,
    Delta,
    Detach,
    Edit,
    ShardEdit,
)
from kae.sinks.terms.bindings import Bindings
from kae.streams.replica.leases import Lease

RELEASED_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Placed:
    """A delta: its version, its log offset, its time.

    Without a time: some delta up to this one, for the replica began with a snapshot of its version.
    """

    version: int
    offset: int
    at_ms: int | None


@dataclass(frozen=True, slots=True)
class Released:
    """A term that is no longer bound; `binding` is 0 when it never was."""

    binding: int
    revision: int
    version: int
    at_ms: int
    cause: str


@dataclass(slots=True)
class Journal:
    """Written by the follower's thread alone; values are replaced, so a reader needs no lock."""

    attached: dict[int, Mapping[int, Placed]] = field(default_factory=dict)  # binding -> by shard
    detached: dict[int, Mapping[int, Placed]] = field(default_factory=dict)
    released: dict[str, Released] = field(default_factory=dict)
    decodable_ms: dict[int, int] = field(default_factory=dict)  # binding -> first seen
    applied_ms: dict[int, int] = field(default_factory=dict)  # binding -> by all live replicas
    release_applied_ms: dict[str, int] = field(default_factory=dict)
    _waiting: dict[int, int] = field(default_factory=dict)  # binding -> version that bound it

    def note_shard(self, shard: int, delta: Delta, offset: int, edits: Iterable[ShardEdit]) -> None:
        """Take notice of a shard's delta."""
        placed = Placed(delta.version, offset, delta.at_ms)
        for edit in edits:
            if isinstance(edit, Attach):
                places = self.attached.get(edit.binding, {})
                self.attached[edit.binding] = {**places, shard: placed}
            elif isinstance(edit, Detach):
                places = self.detached.get(edit.binding, {})
                self.detached[edit.binding] = {**places, shard: placed}

    def note_snapshot(self, shard: int, bound: Iterable[int], version: int, offset: int) -> None:
        """Take notice of what a shard had attached when the replica began with its snapshot."""
        placed = Placed(version, offset, None)
        for binding in bound:
            places = self.attached.get(binding, {})
            self.attached[binding] = {**places, shard: placed}

    def note_bindings(self, delta: Delta, edits: Iterable[Edit]) -> None:
        """Take notice of a delta of the bindings log."""
        for edit in edits:
            if isinstance(edit, BindSlot | Activate):
                self._waiting[edit.binding] = delta.version
                self.applied_ms.pop(edit.binding, None)
            elif isinstance(edit, Deactivate):
                self._waiting.pop(edit.binding, None)
                self.release_applied_ms.pop(edit.term, None)
                self.released.pop(edit.term, None)  # so that the oldest come first
                self.released[edit.term] = Released(
                    edit.binding, edit.revision, delta.version, delta.at_ms, edit.cause
                )

    def all_whole(self, edits: Iterable[Edit] | Iterable[ShardEdit], shards: int) -> bool:
        """Whether the terms that edits change wait for no other shard's part."""
        return not any(
            isinstance(edit, BindSlot)
            or (isinstance(edit, Attach) and len(self.attached[edit.binding]) < shards)
            or (isinstance(edit, Detach) and len(self.detached[edit.binding]) < shards)
            for edit in edits
        )

    def note_view(self, decodable: Iterable[int], at_ms: int) -> None:
        """Take notice of the bindings that a new view has a path for."""
        for binding in decodable:
            self.decodable_ms.setdefault(binding, at_ms)

    def forget(self, bindings: Bindings) -> None:
        """Drop what no receipt tells any more.

        A shard's delta may come before or after that of the bindings log which it follows: what is
        not bound yet is kept, what comes late is dropped by the next call.
        """
        for term in list(self.released)[:-RELEASED_KEPT]:
            del self.released[term]
            self.release_applied_ms.pop(term, None)
        released = {one.binding for one in self.released.values()}

        def untold(known: Iterable[int], told: Container[int]) -> list[int]:
            return [b for b in known if b not in told and b < bindings.next_binding]

        for bound in (self.attached, self.decodable_ms, self.applied_ms):
            for binding in untold(bound, bindings.bound):
                del bound[binding]
        for binding in untold(self.detached, released | bindings.bound.keys()):
            del self.detached[binding]

    def note_leases(self, live: Sequence[Lease], shards: int) -> None:
        """Take notice of what the live replicas hold."""
        if not live:
            return
        at_ms = max(lease.at_ms for lease in live)
        for binding, version in list(self._waiting.items()):
            places = self.attached.get(binding, {})
            wanted = {shard: placed.version for shard, placed in places.items()}
            if len(wanted) == shards and all(lease.covers(version, wanted) for lease in live):
                self.applied_ms[binding] = at_ms
                del self._waiting[binding]
        for term in self.released.keys() - self.release_applied_ms.keys():
            if all(lease.covers(self.released[term].version, {}) for lease in live):
                self.release_applied_ms[term] = at_ms
