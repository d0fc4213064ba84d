"""When and where each binding was attached, applied, decodable and released.

The logs say more about terms than their newest state: a receipt needs the time of each stage. This
is a fold too: a replica that starts again knows the same, except when its views came into use. It
keeps the times of the newest RELEASED_KEPT released terms; a receipt says of older ones that they
are released, and not when.
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
class DeltaPosition:
    """A delta: its version, its log offset, its time.

    Without a time it is some delta up to this one: the replica started from a snapshot of this
    version.
    """

    version: int
    offset: int
    at_ms: int | None


@dataclass(frozen=True, slots=True)
class ReleasedTerm:
    """A term that is no longer bound; `binding` is 0 if it never was."""

    binding: int
    revision: int
    version: int
    at_ms: int
    cause: str


@dataclass(slots=True)
class TermProgress:
    """Written by the follower's thread alone; values are replaced, so a reader needs no lock."""

    attached: dict[int, Mapping[int, DeltaPosition]] = field(default_factory=dict)  # by binding
    detached: dict[int, Mapping[int, DeltaPosition]] = field(default_factory=dict)  # and shard
    released: dict[str, ReleasedTerm] = field(default_factory=dict)
    decodable_ms: dict[int, int] = field(default_factory=dict)  # by binding: in a view since
    applied_ms: dict[int, int] = field(default_factory=dict)  # by binding: by all live replicas
    release_applied_ms: dict[str, int] = field(default_factory=dict)
    _unapplied: dict[int, int] = field(default_factory=dict)  # binding -> version that bound it

    def add_shard_delta(
        self, shard: int, delta: Delta, offset: int, edits: Iterable[ShardEdit]
    ) -> None:
        position = DeltaPosition(delta.version, offset, delta.at_ms)
        for edit in edits:
            if isinstance(edit, Attach):
                self._attach(edit.binding, shard, position)
            elif isinstance(edit, Detach):
                shards = self.detached.get(edit.binding, {})
                self.detached[edit.binding] = {**shards, shard: position}

    def add_snapshot(self, shard: int, bindings: Iterable[int], version: int, offset: int) -> None:
        """Add what a shard had attached in the snapshot that the replica started from."""
        position = DeltaPosition(version, offset, None)
        for binding in bindings:
            self._attach(binding, shard, position)

    def _attach(self, binding: int, shard: int, position: DeltaPosition) -> None:
        self.attached[binding] = {**self.attached.get(binding, {}), shard: position}

    def add_bindings_delta(self, delta: Delta, edits: Iterable[Edit]) -> None:
        for edit in edits:
            if isinstance(edit, BindSlot | Activate):
                self._unapplied[edit.binding] = delta.version
                self.applied_ms.pop(edit.binding, None)
            elif isinstance(edit, Deactivate):
                self._unapplied.pop(edit.binding, None)
                self.release_applied_ms.pop(edit.term, None)
                self.released.pop(edit.term, None)  # so that the oldest come first
                self.released[edit.term] = ReleasedTerm(
                    edit.binding, edit.revision, delta.version, delta.at_ms, edit.cause
                )

    def is_complete(self, edits: Iterable[Edit] | Iterable[ShardEdit], shards: int) -> bool:
        """Whether every shard has done its part of the terms that some edits change."""
        return not any(
            isinstance(edit, BindSlot)
            or (isinstance(edit, Attach) and len(self.attached[edit.binding]) < shards)
            or (isinstance(edit, Detach) and len(self.detached[edit.binding]) < shards)
            for edit in edits
        )

    def add_view(self, decodable: Iterable[int], at_ms: int) -> None:
        """Add the bindings that a new view has a path for."""
        for binding in decodable:
            self.decodable_ms.setdefault(binding, at_ms)

    def add_leases(self, live: Sequence[Lease], shards: int) -> None:
        """Add what the live replicas have applied."""
        if not live:
            return
        at_ms = max(lease.at_ms for lease in live)
        for binding, version in list(self._unapplied.items()):
            attached = self.attached.get(binding, {})
            wanted = {shard: position.version for shard, position in attached.items()}
            if len(wanted) == shards and all(lease.covers(version, wanted) for lease in live):
                self.applied_ms[binding] = at_ms
                del self._unapplied[binding]
        for term in self.released.keys() - self.release_applied_ms.keys():
            if all(lease.covers(self.released[term].version, {}) for lease in live):
                self.release_applied_ms[term] = at_ms

    def prune(self, bindings: Bindings) -> None:
        """Drop what no receipt shows any more.

        A shard's delta may arrive before or after the record of the bindings log that it follows:
        a binding that is not known yet is kept, and one that arrives late is dropped by the next
        call.
        """
        for term in list(self.released)[:-RELEASED_KEPT]:
            del self.released[term]
            self.release_applied_ms.pop(term, None)
        released = {one.binding for one in self.released.values()}

        def unused(known: Iterable[int], used: Container[int]) -> list[int]:
            return [b for b in known if b not in used and b < bindings.next_binding]

        for by_binding in (self.attached, self.decodable_ms, self.applied_ms):
            for binding in unused(by_binding, bindings.bound):
                del by_binding[binding]
        for binding in unused(self.detached, released | bindings.bound.keys()):
            del self.detached[binding]
