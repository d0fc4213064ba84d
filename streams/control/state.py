"""The fold of the control topic that says which generations there are, and which one serves."""

from collections.abc import Container
from dataclasses import dataclass, field, replace

from kae.streams.control.records import (
    Announced,
    ControlRecord,
    Cutover,
    Dropped,
    GenerationRecord,
    Pause,
    Reached,
    Request,
    RequestAnswer,
    Resume,
    Snapshotted,
)


@dataclass(frozen=True, slots=True)
class RequestState:
    """A request at its offset, and what became of it."""

    offset: int
    request: Request
    answer: RequestAnswer | None = None


@dataclass(slots=True)
class ControlState:
    """The fold of the control topic for one generation."""

    generation: int
    bindings_reached: dict[int, int] = field(default_factory=dict)
    # By shard: the items of each pending binding with a plan, at that version.
    attached: dict[int, dict[int, int]] = field(default_factory=dict)
    owners: dict[int, Reached] = field(default_factory=dict)
    # By offset, rising: requests without an answer.
    open: dict[int, RequestState] = field(default_factory=dict)
    # By shard: the newest request, and the Pause that was carried out and is in force.
    last: dict[int, RequestState] = field(default_factory=dict)
    pauses: dict[int, Pause] = field(default_factory=dict)
    snapshots: dict[int, Snapshotted] = field(default_factory=dict)  # by shard: the newest taken

    def enter(self, offset: int, record: ControlRecord) -> bool:
        """Take one record in; whether it is a request of this generation."""
        if record.generation != self.generation or isinstance(record, GenerationRecord):
            return False
        if isinstance(record, Reached):
            self._reach(record)
            return False
        if isinstance(record, RequestAnswer):
            self._close(record)
            return False
        if isinstance(record, Snapshotted):
            if not record.failed:
                self.snapshots[record.shard] = record
            return False
        self.open[offset] = self.last[record.shard] = RequestState(offset, record)
        return True

    def open_of(self, shards: Container[int]) -> list[RequestState]:
        """The requests of these shards that have no answer, in the order of their offsets."""
        return [filed for filed in list(self.open.values()) if filed.request.shard in shards]

    def _reach(self, reached: Reached) -> None:
        shard = reached.shard
        if reached.bindings_version >= self.bindings_reached.get(shard, 0):
            self.attached[shard] = dict(reached.attached)
            self.bindings_reached[shard] = reached.bindings_version
        if reached.owner and reached.epoch >= self.owners.get(shard, reached).epoch:
            self.owners[shard] = reached

    def _close(self, answer: RequestAnswer) -> None:
        """The first answer counts: who was killed before it knew of its answer gives it again."""
        filed = self.open.pop(answer.request, None)
        if filed is None:
            return
        shard = filed.request.shard
        if self.last[shard].offset == filed.offset:
            self.last[shard] = replace(filed, answer=answer)
        if answer.refused:
            return
        if isinstance(filed.request, Pause):
            self.pauses[shard] = filed.request
        elif isinstance(filed.request, Resume):
            self.pauses.pop(shard, None)


@dataclass(frozen=True, slots=True)
class CutoverAt:
    """The cut-over that counts, at its offset."""

    offset: int
    cutover: Cutover


@dataclass(slots=True)
class GenerationState:
    """Written by one thread; values are replaced, so readers need no lock.

    `own` is the generation of the topology at hand: where nothing is announced, it is the only one.
    """

    own: int
    announced: dict[int, Announced] = field(default_factory=dict)
    dropped: frozenset[int] = frozenset()
    made: CutoverAt | None = None
    next_offset: int = 0

    @property
    def serving(self) -> int:
        """The one that the newest cut-over names; before there is any, the oldest."""
        return self.made.cutover.generation if self.made else min(self.followed)

    @property
    def followed(self) -> tuple[int, ...]:
        """The generations that replicas follow."""
        return tuple(sorted(({self.own} | self.announced.keys()) - self.dropped)) or (self.own,)

    def enter(self, offset: int, record: object) -> bool:
        """Take one record of the control topic in, once; whether it changed anything."""
        if offset < self.next_offset:
            return False
        self.next_offset = offset + 1
        match record:
            case Announced():
                return self._announce(record)
            case Cutover():
                return self._cut_over(offset, record)
            case Dropped():
                return self._drop(record)
        return False

    def _announce(self, record: Announced) -> bool:
        """A later one may say where the codebook lies now, never that it is another."""
        known = self.announced.get(record.generation, record)
        if record.generation in self.dropped or known.fingerprint != record.fingerprint:
            return False
        self.announced = {**self.announced, record.generation: record}
        return True

    def _cut_over(self, offset: int, record: Cutover) -> bool:
        """Only from the generation that serves, so that of two at the same moment one counts."""
        if self.made and record.previous != self.made.cutover.generation:
            return False
        if not self._is_open(record.generation):
            return False
        self.made = CutoverAt(offset, record)
        return True

    def _is_open(self, generation: int) -> bool:
        return generation in self.announced and generation not in self.dropped

    def _drop(self, record: Dropped) -> bool:
        """Never the one that a cut-over made serve: the two may meet."""
        serves = self.made is not None and self.made.cutover.generation == record.generation
        if record.generation in self.dropped or serves:
            return False
        self.dropped = self.dropped | {record.generation}
        return True
