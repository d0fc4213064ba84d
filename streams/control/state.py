"""Two folds of the control topic: a generation's shard requests, and which generations there are.

Each ignores the records that belong to the other.
"""

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
    """A request, its offset on the control topic, and its answer."""

    offset: int
    request: Request
    answer: RequestAnswer | None = None


@dataclass(slots=True)
class ControlState:
    """What the control topic says about the shards of one generation."""

    generation: int
    bindings_reached: dict[int, int] = field(default_factory=dict)
    # By shard, at that version: how many items each pending binding has there.
    attached: dict[int, dict[int, int]] = field(default_factory=dict)
    owners: dict[int, Reached] = field(default_factory=dict)
    # By offset, ascending: requests without an answer.
    open_requests: dict[int, RequestState] = field(default_factory=dict)
    # By shard: the newest request, and the Pause that is in force.
    newest: dict[int, RequestState] = field(default_factory=dict)
    pauses: dict[int, Pause] = field(default_factory=dict)
    snapshots: dict[int, Snapshotted] = field(default_factory=dict)  # by shard: the newest

    def apply(self, offset: int, record: ControlRecord) -> bool:
        """Fold one record; returns whether it is a request to this generation."""
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
        self.open_requests[offset] = self.newest[record.shard] = RequestState(offset, record)
        return True

    def open_for(self, shards: Container[int]) -> list[RequestState]:
        """The unanswered requests to these shards, in the order of their offsets."""
        return [
            state for state in list(self.open_requests.values()) if state.request.shard in shards
        ]

    def _reach(self, reached: Reached) -> None:
        shard = reached.shard
        if reached.bindings_version >= self.bindings_reached.get(shard, 0):
            self.attached[shard] = dict(reached.attached)
            self.bindings_reached[shard] = reached.bindings_version
        if reached.owner and reached.epoch >= self.owners.get(shard, reached).epoch:
            self.owners[shard] = reached

    def _close(self, answer: RequestAnswer) -> None:
        """The first answer counts: a worker killed right after it answers, answers again."""
        state = self.open_requests.pop(answer.request, None)
        if state is None:
            return
        shard = state.request.shard
        if self.newest[shard].offset == state.offset:
            self.newest[shard] = replace(state, answer=answer)
        if answer.refused:
            return
        if isinstance(state.request, Pause):
            self.pauses[shard] = state.request
        elif isinstance(state.request, Resume):
            self.pauses.pop(shard, None)


@dataclass(frozen=True, slots=True)
class CutoverAt:
    """The cut-over in force, and its offset on the control topic."""

    offset: int
    record: Cutover


@dataclass(slots=True)
class GenerationState:
    """Which generations the control topic announces, and which one serves.

    One thread writes; fields are replaced as a whole, so readers need no lock. `own` is the
    generation of the reader's topology: the only one until a generation is announced.
    """

    own: int
    announced: dict[int, Announced] = field(default_factory=dict)
    dropped: frozenset[int] = frozenset()
    cutover: CutoverAt | None = None
    next_offset: int = 0

    @property
    def serving(self) -> int:
        """The generation that the cut-over in force names; before the first one, the oldest."""
        return self.cutover.record.generation if self.cutover else min(self.followed)

    @property
    def followed(self) -> tuple[int, ...]:
        """The generations that replicas follow."""
        return tuple(sorted(({self.own} | self.announced.keys()) - self.dropped)) or (self.own,)

    def apply(self, offset: int, record: object) -> bool:
        """Fold one record, unless it was folded before; returns whether anything changed."""
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
        """A later announcement may move the codebook, but not replace it."""
        known = self.announced.get(record.generation, record)
        if record.generation in self.dropped or known.fingerprint != record.fingerprint:
            return False
        self.announced = {**self.announced, record.generation: record}
        return True

    def _cut_over(self, offset: int, record: Cutover) -> bool:
        """Only from the generation that serves: of two concurrent cut-overs, one counts."""
        if self.cutover and record.previous != self.cutover.record.generation:
            return False
        if not self._is_open(record.generation):
            return False
        self.cutover = CutoverAt(offset, record)
        return True

    def _is_open(self, generation: int) -> bool:
        return generation in self.announced and generation not in self.dropped

    def _drop(self, record: Dropped) -> bool:
        """Ignored for the serving generation: a drop and a cut-over may be sent concurrently."""
        serves = self.cutover is not None and self.cutover.record.generation == record.generation
        if record.generation in self.dropped or serves:
            return False
        self.dropped = self.dropped | {record.generation}
        return True
