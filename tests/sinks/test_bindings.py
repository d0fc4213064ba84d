"""Terms and the reserved slots that they hold."""

from kae.encoders.selector import Selector
from kae.sinks.log.edits import (
    BindSlot,
    Counts,
    Deactivate,
    Delta,
    FreeSlot,
    Refuse,
    SourceRange,
    encode_edit,
)
from kae.sinks.log.fold import LogState
from kae.sinks.log.term_changes import Bind, Release, TermChange
from kae.sinks.terms.bindings import Bindings
from kae.sinks.terms.due import plan_frees
from kae.sinks.terms.plan import plan_terms

RESERVED = {0: range(90, 92)}


def bind(term: str, revision: int = 1) -> Bind:
    return Bind(term, revision, (), 0, 0, Selector(match=term), "owner", "reason", 5)


def register(bindings: Bindings, *changes: TermChange, at_ms: int = 0) -> Counts:
    plan = plan_terms(bindings, changes, RESERVED)
    fold(bindings, [encode_edit(edit) for edit in plan.edits], at_ms)
    return plan.counts


def fold(bindings: Bindings, raw: list, at_ms: int) -> None:  # type: ignore[type-arg]
    version = bindings.version + 1
    delta = Delta(1, version, b"", 0, 1, at_ms, SourceRange(), Counts(), tuple(raw))
    bindings.apply(delta, LogState(version=version))


def slots(bindings: Bindings) -> dict[str, int]:
    return {bound.term: bound.index for bound in bindings.bound.values()}


def test_terms_take_the_lowest_free_slots_until_none_is_left() -> None:
    bindings = Bindings()
    assert register(bindings, bind("a"), bind("b"), bind("c")) == Counts(3, 2, 0, 0, 1)
    assert slots(bindings) == {"a": 90, "b": 91}
    cause = bindings.refused["c"].cause
    assert cause.startswith("CodebookFull: position 0: 0 of 2 free")
    assert "Release a term" in cause


def test_what_is_not_newer_is_stale() -> None:
    bindings = Bindings()
    register(bindings, bind("a", 5))
    assert register(bindings, bind("a", 5), Release("a", 4)) == Counts(2, 0, 0, 2, 0)
    assert register(bindings, Release("a", 6), bind("a", 6)) == Counts(2, 0, 1, 1, 0)
    assert slots(bindings) == {}


def test_binding_a_bound_term_releases_the_old_binding_in_the_same_delta() -> None:
    bindings = Bindings()
    register(bindings, bind("a"))
    kinds = [type(edit) for edit in plan_terms(bindings, [bind("a", 2)], RESERVED).edits]
    assert kinds == [Deactivate, BindSlot]
    register(bindings, bind("a", 2))
    assert slots(bindings) == {"a": 91}


def test_a_refused_term_can_be_bound_by_the_same_revision_later() -> None:
    bindings = Bindings()
    register(bindings, bind("a"), bind("b"), bind("c"))
    register(bindings, Release("a", 2))
    fold(bindings, [encode_edit(FreeSlot(1, 0, 90))], 0)
    assert register(bindings, bind("c")).put == 1
    assert bindings.refused == {}


def test_a_slot_is_free_after_every_shard_and_the_quarantine() -> None:
    bindings = Bindings()
    register(bindings, bind("a"))
    register(bindings, Release("a", 2), at_ms=1000)
    freed = [FreeSlot(1, 0, 90)]
    assert plan_frees(bindings, [2, 2], 3, 9000, 100) == []
    assert plan_frees(bindings, [2, 1, 2], 3, 9000, 100) == []
    assert plan_frees(bindings, [2, 2, 2], 3, 1099, 100) == []
    assert plan_frees(bindings, [2, 2, 2], 3, 1100, 100) == freed
    assert isinstance(plan_terms(bindings, [bind("x"), bind("y")], RESERVED).edits[1], Refuse)
