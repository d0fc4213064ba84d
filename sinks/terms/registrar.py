"""The registrar: the single writer of the bindings log."""

from collections.abc import Mapping, Sequence

from kae.sinks.log.edits import BindingEdit, Counts, SourceRange, encode_edit
from kae.sinks.log.fold import LogState
from kae.sinks.log.ownership import OwnedLog
from kae.sinks.log.protocol import Log
from kae.sinks.log.term_changes import TermChange
from kae.sinks.terms.bindings import Bindings
from kae.sinks.terms.draft import NO_APPROVALS, TermPolicy
from kae.sinks.terms.due import ShardStates, plan_due, plan_frees
from kae.sinks.terms.plan import TermPlan, plan_terms


class Registrar:
    """Owns the bindings log; its state is small, so it is folded from offset 0."""

    def __init__(
        self,
        log: Log,
        *,
        owner: str,
        fingerprint: str,
        reserved: Mapping[int, range],
        max_bytes: int,
        policy: TermPolicy = NO_APPROVALS,
    ) -> None:
        """Claim the log and read it.

        Raises: ForeignCodebook, AppendUnknown, LogTruncated.
        """
        self.bindings = Bindings()
        self._reserved = reserved
        self._max_bytes = max_bytes
        self._policy = policy
        self._topic = ""
        self.log = OwnedLog(log, LogState(), owner, fingerprint, self.bindings.apply)
        self.log.claim()

    @property
    def next_offset(self) -> int:
        """The first term event that is not in the log yet."""
        return self.bindings.source.next_offset

    @property
    def topic(self) -> str:
        """The id of the terms topic that has been read; empty if it is not known."""
        source = self.bindings.source
        return source.topic if source.topic and source.next_offset else self._topic

    def note_topic(self, topic: str) -> None:
        """Note the id of the topic that is read; the next term events keep it in the log."""
        self._topic = topic

    def plan(self, changes: Sequence[TermChange]) -> TermPlan:
        """What a batch of term events does to the bindings as they are now."""
        return plan_terms(self.bindings, changes, self._reserved, self._policy)

    def register(self, plan: TermPlan, dead: int, next_offset: int, at_ms: int) -> None:
        """Append a plan of the current bindings; `dead` more events of its batch are dead letters.

        Raises: Fenced, AppendUnknown.
        """
        counts = plan.counts + Counts(read=dead, dead=dead)
        self._append(plan.edits, SourceRange(next_offset, topic=self.topic), counts, at_ms)

    def free_slots(
        self, reached: Sequence[int], shards: int, at_ms: int, quarantine_ms: int
    ) -> int:
        """Free the slots that are due; returns how many.

        Raises: Fenced, AppendUnknown.
        """
        return self._append_due(
            plan_frees(self.bindings, reached, shards, at_ms, quarantine_ms), at_ms
        )

    def apply_due(self, states: ShardStates, shards: int, at_ms: int, attach_ms: int) -> int:
        """Expire, activate and give up what is due; returns the number of edits.

        Raises: Fenced, AppendUnknown.
        """
        tolerance = self._policy.tolerance_percent
        return self._append_due(
            plan_due(self.bindings, states, shards, at_ms, attach_ms, tolerance), at_ms
        )

    def _append_due(self, edits: Sequence[BindingEdit], at_ms: int) -> int:
        """Append edits that no term event asks for."""
        if edits:
            self._append(edits, self.bindings.source, Counts(), at_ms)
        return len(edits)

    def _append(
        self, edits: Sequence[BindingEdit], source: SourceRange, counts: Counts, at_ms: int
    ) -> None:
        raw = [encode_edit(edit) for edit in edits]
        self.log.append(raw, source, counts, at_ms, self._max_bytes).apply()
