"""The slot ledger adds up after any history of terms, and says what is left."""

from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from kae.encoders.categories import Slot
from kae.encoders.selector import Selector
from kae.sinks.log.edits import BindingEdit, Counts, Delta, SourceRange, encode_edit
from kae.sinks.log.fold import LogState
from kae.sinks.log.term_changes import (
    Bind,
    Campaign,
    CampaignRelease,
    Extend,
    Release,
    Retarget,
    TermChange,
)
from kae.sinks.terms.bindings import Bindings
from kae.sinks.terms.draft import TermPolicy
from kae.sinks.terms.due import ShardStates, plan_due, plan_frees
from kae.sinks.terms.plan import plan_terms
from kae.sinks.terms.slot_ledger import SlotLedger, ledger_of

RESERVED = {0: range(90, 94), 1: range(10, 13)}
SHARDS = 2
QUARANTINE_MS = 30
ATTACH_MS = 50
POLICY = TermPolicy(quarantine_ms=QUARANTINE_MS)


class Slots:
    """A bindings log with a clock of its own, and shards that attach when they are told to."""

    def __init__(self) -> None:
        self.bindings = Bindings()
        self.now = 100
        self.revision = 0
        self.reached = 0

    def next_revision(self) -> int:
        self.revision += 1
        return self.revision

    def bind(self, term: str, position: int, from_ms: int = 0, until_ms: int = 0) -> Bind:
        revision, selector = self.next_revision(), Selector(match=term)
        times = (self.now, from_ms, until_ms)
        return Bind(term, revision, (), position, position, selector, "", "", *times, "ann")

    def tell(self, *changes: TermChange) -> str:
        """Carry out; returns the cause of the last refusal."""
        plan = plan_terms(self.bindings, changes, RESERVED, POLICY)
        self._fold(plan.edits)
        return list(plan.refused.values())[-1].cause if plan.refused else ""

    def tend(self) -> None:
        """Time passes, and the registrar does what is due."""
        self.now += 20
        reached = dict.fromkeys(range(SHARDS), self.reached)
        self._fold(plan_due(self.bindings, ShardStates(reached), SHARDS, self.now, ATTACH_MS))
        versions = list(reached.values())
        self._fold(plan_frees(self.bindings, versions, SHARDS, self.now, QUARANTINE_MS))

    def ledger(self, position: int) -> SlotLedger:
        return ledger_of(self.bindings, position, len(RESERVED[position]), QUARANTINE_MS)

    def _fold(self, edits: list[BindingEdit]) -> None:
        version = self.bindings.version + 1
        raw = tuple(msgspec.Raw(encode_edit(edit)) for edit in edits)
        delta = Delta(1, version, b"", 0, 1, self.now, SourceRange(), Counts(), raw)
        self.bindings.apply(delta, LogState(version=version))


TERMS = st.sampled_from("abcdef")
POSITIONS = st.sampled_from(sorted(RESERVED))
STEPS = st.one_of(
    st.tuples(st.just("bind"), TERMS, POSITIONS),
    st.tuples(st.just("schedule"), TERMS, POSITIONS),
    st.tuples(st.just("short"), TERMS, POSITIONS),
    st.tuples(st.just("campaign"), POSITIONS),
    st.tuples(st.just("end campaign")),
    st.tuples(st.just("retarget"), TERMS),
    st.tuples(st.just("extend"), TERMS),
    st.tuples(st.just("release"), TERMS),
    st.tuples(st.just("attach")),
    st.tuples(st.just("tend")),
)


def take(slots: Slots, step: tuple[str, *tuple[object, ...]]) -> None:
    match step:
        case ("bind", str(term), int(position)):
            slots.tell(slots.bind(term, position))
        case ("schedule", str(term), int(position)):
            slots.tell(slots.bind(term, position, from_ms=slots.now + 45))
        case ("short", str(term), int(position)):
            slots.tell(slots.bind(term, position, until_ms=slots.now + 15))
        case ("campaign", int(position)):
            binds = tuple(slots.bind(term, position) for term in "xyz")
            slots.tell(Campaign("spring", slots.next_revision(), binds, "ann"))
        case ("end campaign",):
            slots.tell(CampaignRelease("spring", slots.next_revision()))
        case ("retarget", str(term)):
            changed = Selector(match="other")
            slots.tell(Retarget(term, slots.next_revision(), changed, slots.now, "ann"))
        case ("extend", str(term)):
            slots.tell(Extend(term, slots.next_revision(), slots.now + 60, "ann"))
        case ("release", str(term)):
            slots.tell(Release(term, slots.next_revision()))
        case ("attach",):
            slots.reached = slots.bindings.version
        case _:
            slots.tend()


def check(slots: Slots) -> None:
    """What is used or at rest is one slot each, and exactly what is free can be bound."""
    bindings = slots.bindings
    held = Counter(Slot(b.position, b.index) for b in bindings.bound.values())
    held.update(q.slot for q in bindings.quarantined.values() if q.was_active)
    assert set(held.values()) <= {1}
    for position, reserved in RESERVED.items():
        ledger = slots.ledger(position)
        assert ledger.used + ledger.quarantined + ledger.free == len(reserved)
        assert 0 <= ledger.free == len(reserved) - sum(slot.position == position for slot in held)
        more = [slots.bind(f"new {n}", position) for n in range(ledger.free + 1)]
        plan = plan_terms(bindings, more, RESERVED, POLICY)
        assert (plan.counts.put, plan.counts.dead) == (ledger.free, 1)
        assert f"position {position}: 0 of {len(reserved)} free" in plan.refused[ledger.free].cause


@settings(deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_used_free_and_quarantined_slots_add_up_after_any_history(
    steps: list[tuple[str, *tuple[object, ...]]],
) -> None:
    slots = Slots()
    for step in steps:
        take(slots, step)
        check(slots)
    for term in [bound.term for bound in slots.bindings.bound.values()]:
        slots.tell(Release(term, slots.next_revision()))
    slots.reached = slots.bindings.version
    for _ in range(3):
        slots.tend()
    assert [slots.ledger(p).free for p in RESERVED] == [len(r) for r in RESERVED.values()]
    assert not slots.bindings.quarantined


def test_a_refusal_names_slots_that_are_free_come_back_or_can_be_released() -> None:
    slots = Slots()
    binds = [slots.bind(term, 1, until_ms=end) for term, end in (("a", 0), ("b", 9_000))]
    slots.tell(slots.bind("gone", 1), *binds)
    slots.tell(Release("gone", slots.next_revision()))
    cause = slots.tell(slots.bind("new", 1))
    assert cause == (
        "CodebookFull: position 1: 0 of 3 free, 1 in quarantine, the first until "
        "1970-01-01T00:00:00+00:00; cannot bind 'new'. Release a term, for example 'b' (ends "
        "1970-01-01T00:00:09+00:00), 'a' (bound 1970-01-01T00:00:00+00:00, without an end), or "
        "raise groups[].reserved in topology.yaml (a new generation). kae term capacity has the "
        "whole ledger"
    )
    words = tuple(slots.bind(term, 0) for term in "stuvw")
    cause = slots.tell(Campaign("spring", slots.next_revision(), words, "ann"))
    assert "position 0: 4 of 4 free; cannot bind 's', 't', 'u', .... Wait, or raise" in cause
