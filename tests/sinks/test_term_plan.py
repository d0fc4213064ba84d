"""The life of a term in the bindings log: changes, schedules, campaigns, proposals."""

import msgspec
import pytest

from kae.encoders.selector import Selector
from kae.sinks.log.edits import (
    BindSlot,
    Counts,
    Deactivate,
    Delta,
    SourceRange,
    decode_edit,
    encode_edit,
)
from kae.sinks.log.fold import LogState
from kae.sinks.log.term_changes import (
    Adjust,
    Approve,
    Bind,
    Campaign,
    CampaignRelease,
    ExpectedItems,
    Extend,
    Realias,
    Reject,
    Release,
    Retarget,
    TermChange,
)
from kae.sinks.terms.bindings import Bindings
from kae.sinks.terms.draft import NO_APPROVALS, TermPolicy
from kae.sinks.terms.due import ShardStates, plan_due
from kae.sinks.terms.plan import plan_terms

RESERVED = {0: range(90, 98)}
FOUR_EYES = TermPolicy(approvals=1, tolerance_percent=10)
SHARDS = 3
ATTACH_MS = 1000


def bind(term: str, revision: int = 1, **changes: object) -> Bind:
    plain = Bind(term, revision, (), 0, 0, Selector(match=term), "owner", "reason", 5, by="ann")
    return msgspec.structs.replace(plain, **changes)


def campaign(*terms: str, revision: int = 1, from_ms: int = 0) -> Campaign:
    return Campaign("spring", revision, tuple(bind(t, from_ms=from_ms) for t in terms), "ann")


class Log:
    """A fold that plans what it is told, and what is due."""

    def __init__(self, policy: TermPolicy = NO_APPROVALS) -> None:
        self.bindings = Bindings()
        self.attached: dict[int, dict[int, int]] = {}  # by shard and binding, as shards say it
        self._policy = policy

    def tell(self, *changes: TermChange, at_ms: int = 0) -> Counts:
        plan = plan_terms(self.bindings, changes, RESERVED, self._policy)
        self._fold(plan.edits, at_ms)
        return plan.counts

    def tend(self, at_ms: int, *reached: int) -> list[str]:
        """What is due when the shards have come so far; all up to now without any."""
        versions = reached or (self.bindings.version,) * SHARDS
        states = ShardStates(dict(enumerate(versions)), self.attached)
        tolerance = self._policy.tolerance_percent
        edits = plan_due(self.bindings, states, SHARDS, at_ms, ATTACH_MS, tolerance)
        if edits:
            self._fold(edits, at_ms)
        return [type(edit).__name__ for edit in edits]

    def visible(self, at_ms: int, reached: int | None = None) -> dict[str, tuple[str, int]]:
        """Each term that readers see, with what it matches and its slot."""
        seen = self.bindings.visible(at_ms, self.bindings.version if reached is None else reached)
        return {one.term: (one.selector.match, one.index) for one in seen.values()}

    def refusal(self, key: str) -> str:
        return self.bindings.refused[key].cause

    def _fold(self, edits: list, at_ms: int) -> None:  # type: ignore[type-arg]
        version = self.bindings.version + 1
        raw = tuple(msgspec.Raw(encode_edit(edit)) for edit in edits)
        delta = Delta(1, version, b"", 0, 1, at_ms, SourceRange(), Counts(), raw)
        self.bindings.apply(delta, LogState(version=version))


def test_edits_of_logs_from_before_validity_decode_as_at_once_and_for_ever() -> None:
    old = [5, 1, "a", [], 0, 0, 90, ["a", [], ""], 7, "owner", "reason", 5]
    edit = decode_edit(msgspec.msgpack.encode(old))
    assert isinstance(edit, BindSlot)
    assert (edit.from_ms, edit.until_ms, edit.pending, edit.campaign) == (0, 0, False, "")
    assert edit.is_valid_at(0)
    assert decode_edit(msgspec.msgpack.encode([7, 1, "a", 8])) == Deactivate(1, "a", 8)
    log = Log()
    log._fold([edit], 3)
    assert log.visible(0, reached=0) == {"a": ("a", 90)}


def test_a_schedule_is_seen_from_its_first_to_its_last_moment_only() -> None:
    log = Log()
    log.tell(bind("a", from_ms=100, until_ms=200))
    assert log.visible(150) == {}
    assert log.tend(10, 1, 1, 0) == []
    assert log.tend(20) == ["Activate"]
    assert [log.visible(at_ms) != {} for at_ms in (99, 100, 199, 200)] == [False, True, True, False]
    assert log.bindings.next_change_after(20) == 100
    assert log.bindings.next_change_after(100) == 200
    assert log.tend(199) == []
    assert log.tend(200) == ["Deactivate"]
    assert log.tell(Extend("a", 2, 300)).dead == 1
    assert "is not bound" in log.refusal("a")


def test_what_every_shard_has_attached_is_hidden_from_a_reader_that_has_not() -> None:
    log = Log()
    log.tell(campaign("a", "b"))
    log.tend(10)
    assert log.visible(10, reached=0) == {}
    assert set(log.visible(10, reached=1)) == {"a", "b"}


def test_aliases_and_ends_change_in_place() -> None:
    log = Log()
    log.tell(bind("a"))
    log.tell(Realias("a", 2, ("x", "y")), Extend("a", 3, 500), Realias("a", 2, ()))
    bound = log.bindings.bound[1]
    assert (bound.aliases, bound.until_ms, bound.revision, bound.index) == (("x", "y"), 500, 3, 90)
    assert log.bindings.counts == Counts()
    assert log.visible(499) == {"a": ("a", 90)}


def test_a_retarget_shows_the_old_items_until_every_shard_has_the_new_ones() -> None:
    log = Log()
    log.tell(bind("a"))
    log.tell(Retarget("a", 2, Selector(match="new"), 6))
    assert log.visible(10) == {"a": ("a", 90)}
    assert log.tend(10, 2, 2, 1) == []
    assert log.tend(11) == ["Deactivate", "Activate"]
    assert log.visible(11) == {"a": ("new", 91)}
    assert log.bindings.terms["a"] == (2, 2)


def test_a_retarget_that_a_shard_never_attaches_leaves_the_term_as_it_was() -> None:
    log = Log()
    log.tell(bind("a"))
    log.tell(Retarget("a", 2, Selector(match="new"), 6), at_ms=10)
    log.tend(10 + ATTACH_MS, 2, 2, 1)
    assert log.visible(2000) == {"a": ("a", 90)}
    assert "shard 2 did not attach it" in log.refusal("a")
    assert log.tell(Release("a", 3)).dropped == 1
    assert log.visible(2000) == {}


def test_a_release_ends_what_waits_and_what_it_would_replace() -> None:
    log = Log()
    log.tell(bind("a"))
    log.tell(Retarget("a", 2, Selector(match="new"), 6), Release("a", 3))
    assert (log.bindings.bound, log.bindings.pending) == ({}, set())


def test_a_campaign_is_bound_activated_and_released_as_one() -> None:
    log = Log()
    assert log.tell(campaign("a", "b", "c")) == Counts(1, 1)
    assert log.visible(10) == {}
    assert log.tend(10) == ["Activate"] * 3
    assert set(log.visible(10)) == {"a", "b", "c"}
    assert log.tell(campaign("a", "b", "c")).stale == 1
    assert log.tell(CampaignRelease("spring", 2)).dropped == 1
    assert log.visible(10) == {}


@pytest.mark.parametrize(
    ("held", "wanted", "cause"),
    [("b", ("a", "b"), "1 of its 2 terms are bound: 'b'"), ("z", "abcdefgh", "CodebookFull")],
)
def test_a_campaign_is_refused_as_a_whole(held: str, wanted: tuple[str, ...], cause: str) -> None:
    log = Log()
    log.tell(bind(held))
    assert log.tell(campaign(*wanted, revision=2)).dead == 1
    assert cause in log.refusal("campaign/spring")
    assert set(log.visible(0)) == {held}


def test_a_campaign_that_a_shard_does_not_attach_is_given_up_and_its_slots_are_free() -> None:
    log = Log()
    log.tell(campaign("a", "b"), at_ms=10)
    assert log.tend(10 + ATTACH_MS - 1, 1, 0, 1) == []
    log.tend(10 + ATTACH_MS, 1, 0, 1)
    assert log.bindings.bound == {}
    assert "shard 1 did not attach it" in log.refusal("campaign/spring")
    # Nobody ever saw them, so another may have them at once, while shard 1 is still away.
    log.tell(campaign(*"cdefghij", revision=2))
    assert len(log.bindings.bound) == len(RESERVED[0])


def test_a_bind_waits_for_another_to_approve_it() -> None:
    log = Log(FOUR_EYES)
    assert log.tell(bind("a", 7)).put == 1
    assert log.visible(0) == {}
    assert log.tell(Approve("a", 8, 7, "ann")).dead == 1
    assert "another than who proposed it" in log.refusal("a")
    assert log.tell(Approve("a", 9, 6, "ben")).dead == 1
    assert log.tell(Approve("a", 10, 7, "ben")).put == 1
    assert log.visible(0) == {"a": ("a", 90)}
    assert (log.bindings.bound[1].by, log.bindings.bound[1].approved_by) == ("ann", "ben")
    assert log.bindings.proposals == {}
    assert log.tell(Approve("a", 10, 7, "ben")).stale == 1


def test_a_campaign_is_approved_as_one() -> None:
    log = Log(FOUR_EYES)
    log.tell(campaign("a", "b"), Approve("campaign/spring", 2, 1, "ben"))
    log.tend(10)
    assert set(log.visible(10)) == {"a", "b"}
    assert log.bindings.proposals == {}


@pytest.mark.parametrize(
    ("now", "approved"),
    [
        (ExpectedItems("h1", 100), True),
        (ExpectedItems("h2", 110), True),
        (ExpectedItems("h2", 111), False),
        (ExpectedItems("h2", 89), False),
        (ExpectedItems(), False),
    ],
)
def test_an_approval_of_another_plan_is_refused(now: ExpectedItems, approved: bool) -> None:
    log = Log(FOUR_EYES)
    log.tell(bind("a", plan=ExpectedItems("h1", 100)))
    log.tell(Approve("a", 2, 1, "ben", now))
    assert bool(log.bindings.bound) is approved


def planned(items: int) -> Log:
    """A log where one term waits that was planned with a hundred items, and has so many."""
    log = Log(TermPolicy(tolerance_percent=10))
    log.tell(bind("a", plan=ExpectedItems("h1", 100)))
    log.attached = {shard: {1: items // SHARDS} for shard in range(SHARDS)}
    log.attached[0] = {1: items // SHARDS + items % SHARDS}
    return log


@pytest.mark.parametrize("items", [90, 100, 110])
def test_a_term_with_a_plan_is_active_once_its_items_are_as_planned(items: int) -> None:
    log = planned(items)
    assert log.visible(0) == {}
    assert log.tend(10) == ["Activate"]
    assert log.visible(10) == {"a": ("a", 90)}


@pytest.mark.parametrize("items", [0, 89, 111])
def test_a_term_whose_items_are_not_as_planned_is_refused_and_never_seen(items: int) -> None:
    log = planned(items)
    assert log.tend(10) == ["Deactivate", "Refuse"]
    assert f"planned with 100 items (plan h1), it has {items} now" in log.refusal("a")
    assert (log.visible(10), log.bindings.occupied()) == ({}, set())


def test_a_shard_that_has_not_told_its_items_is_waited_for() -> None:
    log = planned(100)
    counts = log.attached.pop(2)
    assert log.tend(10) == []
    log.attached[2] = counts
    assert log.tend(11) == ["Activate"]
    log = planned(100)
    log.attached.pop(2)
    assert log.tend(ATTACH_MS) == ["Deactivate", "Refuse"]
    assert "shard 2 did not attach it" in log.refusal("a")


def test_a_bound_term_stays_as_it_was_where_a_plan_of_it_fails() -> None:
    log = Log(TermPolicy(tolerance_percent=10))
    log.tell(bind("a"))
    log.tell(bind("a", 2, selector=Selector(match="new"), plan=ExpectedItems("h1", 100)))
    assert log.visible(0) == {"a": ("a", 90)}
    log.attached = {shard: {2: 1} for shard in range(SHARDS)}
    log.tend(10)
    assert log.visible(10) == {"a": ("a", 90)}
    assert "it has 3 now" in log.refusal("a")


def test_a_campaign_is_held_to_the_items_of_all_its_terms() -> None:
    plan = ExpectedItems("h1", 100)
    log = Log(TermPolicy(tolerance_percent=10))
    log.tell(msgspec.structs.replace(campaign("a", "b"), plan=plan))
    log.attached = {shard: {1: 20, 2: 10} for shard in range(SHARDS)}
    assert log.tend(10) == ["Activate"] * 2


def test_what_is_rejected_or_overtaken_waits_no_longer() -> None:
    log = Log(FOUR_EYES)
    assert log.tell(bind("a", 1), Reject("a", 2, 1, "ben", "too wide")).dropped == 1
    log.tell(bind("b", 1), Release("b", 2))
    assert log.bindings.proposals == {}
    assert log.tell(Approve("b", 3, 1, "ben")).stale == 1
    assert log.tell(bind("c", by="")).dead == 1
    assert "does not say who proposes it" in log.refusal("c")


# Single items.


def adjust(revision: int, **changes: object) -> Adjust:
    plain = Adjust("a", revision, (), (), None, 7, "ben")
    return msgspec.structs.replace(plain, **changes)


def test_a_selector_from_before_single_items_decodes_without_any() -> None:
    old = [5, 1, "a", [], 0, 0, 90, ["a", ["7"], ""], 7, "owner", "reason", 5]
    edit = decode_edit(msgspec.msgpack.encode(old))
    assert isinstance(edit, BindSlot)
    assert edit.selector == Selector("a", ("7",), "", (), (), ())


def test_single_items_take_the_old_ones_place_at_once_and_add_up() -> None:
    log = Log()
    log.tell(bind("a"))
    log.tell(adjust(2, add=("x",)), adjust(3, exclude=("y",), pins=("p",)), at_ms=1)
    assert log.visible(1) == {"a": ("a", 90)}
    assert log.bindings.bound[1].selector == Selector("a")
    log.tend(2)
    (bound,) = log.bindings.bound.values()
    assert bound.selector == Selector("a", plus=("x",), minus=("y",), pins=("p",))
    assert (bound.owner, bound.by, bound.revision) == ("owner", "ben", 3)


def test_what_changes_no_item_keeps_its_slot() -> None:
    log = Log()
    log.tell(bind("a"), adjust(2, add=("x",)))
    log.tend(1)
    before = log.visible(1)
    log.tell(adjust(3, add=("x",)), at_ms=2)
    assert log.visible(2) == before
    assert [bound.revision for bound in log.bindings.bound.values()] == [3]


@pytest.mark.parametrize(
    ("policy", "cause"),
    [
        (TermPolicy(items_per_selector=1), "it would name 2 items, terms.items_per_selector"),
        (TermPolicy(selector_bytes=9), "its selector would have 12 bytes, limits.event_bytes"),
    ],
)
def test_more_single_items_than_a_term_may_have_are_refused(policy: TermPolicy, cause: str) -> None:
    log = Log(policy)
    log.tell(bind("a"))
    log.tell(adjust(2, add=("x", "y")))
    assert cause in log.refusal("a")
    assert log.visible(1) == {"a": ("a", 90)}


def test_single_items_wait_for_another_to_approve_them() -> None:
    log = Log(FOUR_EYES)
    log.tell(bind("a"), Approve("a", 2, 1, "ben"))
    log.tell(adjust(3, pins=("p",)))
    assert log.bindings.proposals["a"].change == adjust(3, pins=("p",))
    log.tell(Approve("a", 4, 3, "ann"))
    log.tend(1)
    assert [bound.selector.pins for bound in log.bindings.bound.values()] == [("p",)]


# Ends.


def test_a_later_end_waits_for_another_to_approve_it_and_a_sooner_one_does_not() -> None:
    log = Log(FOUR_EYES)
    log.tell(bind("a", until_ms=500), Approve("a", 2, 1, "ben"))
    for revision, until_ms in ((3, 600), (4, 0)):
        log.tell(Extend("a", revision, until_ms, "ann"))
        assert log.bindings.bound[1].until_ms == 500
        assert log.bindings.proposals["a"].change == Extend("a", revision, until_ms, "ann")
    log.tell(Approve("a", 5, 4, "ann"))
    assert "another than who proposed it" in log.refusal("a")
    log.tell(Approve("a", 6, 4, "ben"))
    bound = log.bindings.bound[1]
    assert (bound.until_ms, bound.by, bound.approved_by) == (0, "ann", "ben")
    log.tell(Extend("a", 7, 400, "eve"), Extend("a", 8, 300, "eve"))
    bound = log.bindings.bound[1]
    assert (bound.until_ms, bound.by, bound.approved_by) == (300, "eve", "ben")
    assert not log.bindings.proposals


def test_a_later_end_of_what_is_not_bound_is_no_proposal() -> None:
    log = Log(FOUR_EYES)
    log.tell(Extend("a", 1, 600, "ann"))
    assert "is not bound" in log.refusal("a")
    assert not log.bindings.proposals


def test_a_plan_tells_refused_and_stale_events_by_their_places() -> None:
    unbound = Retarget("loud", 1, Selector(match="x"), 5, "ann")
    changes: list[TermChange] = [unbound, bind("a", 2), unbound, bind("a", 2)]
    plan = plan_terms(Bindings(), changes, RESERVED)
    assert {place: refusal.term for place, refusal in plan.refused.items()} == {
        0: "loud",
        2: "loud",
    }
    assert plan.stale == [3]
    without = plan_terms(Bindings(), changes[:3], RESERVED)
    assert plan.without_stale() == without


def test_a_word_takes_the_place_of_another_spelling_only_if_it_is_to_replace_it() -> None:
    log = Log()
    log.tell(bind("s10", 1, written="S10"))
    plan = plan_terms(log.bindings, [bind("s10", 2, written="S10+")], RESERVED)
    assert plan.refused[0].cause == (
        "'S10+': 'S10' is bound, and both are the term 's10'; give --replace to put this one in "
        "its place, or bind another word"
    )
    assert log.tell(bind("s10", 3, written=" s10 ")).put == 1
    assert log.tell(bind("s10", 4, written="S10+", replace=True)).put == 1
    assert [bound.written for bound in log.bindings.bound.values()] == ["S10+"]


def test_a_proposal_of_another_spelling_is_refused_before_anybody_approves_it() -> None:
    log = Log(FOUR_EYES)
    log.tell(bind("s10", 1, written="S10"))
    log.tell(Approve("s10", 2, 1, "ben"))
    assert log.tell(bind("s10", 3, written="S10+")).dead == 1
    assert not log.bindings.proposals


def test_a_term_of_an_earlier_release_has_no_spelling_to_differ_from() -> None:
    log = Log()
    log.tell(bind("s10", 1))
    assert log.tell(bind("s10", 2, written="S10+")).put == 1
