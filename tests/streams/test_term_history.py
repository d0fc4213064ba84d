"""The past of terms, read from a bindings log that a real registrar has written."""

from tests.streams.followed import Followed

from kae.encoders.selector import Selector
from kae.sinks.log.edits import Delta, decode_record
from kae.sinks.log.term_changes import Bind, Campaign, Extend, Realias
from kae.streams.events.term_data import BindData, SelectorData
from kae.streams.events.terms import decode_term, encode_term, rules_of
from kae.streams.terms.history import BindingsHistory


def past(followed: Followed) -> BindingsHistory:
    records = map(decode_record, followed.bindings_log.records)
    return BindingsHistory([record for record in records if isinstance(record, Delta)])


def named(events: list) -> list[tuple[str, str]]:  # type: ignore[type-arg]
    return [(subject, type(data).__name__) for subject, data in events]


def test_all_that_happened_to_a_term_is_told_in_its_order(followed: Followed) -> None:
    followed.bind("quietcore", match="black")
    followed.register(Realias("quietcore", 50, ("qc",), "ann"))
    followed.release("loud")
    followed.register(Extend("quietcore", 51, 9_000_000, "ben"))
    followed.release("quietcore")
    told = past(followed).history("quietcore")
    assert [h.what for h in told] == ["bound", "changed", "changed", "released"]
    assert [(h.revision, h.by) for h in told[1:3]] == [(50, "ann"), (51, "ben")]
    assert sorted(h.at_ms for h in told) == [h.at_ms for h in told]


def test_a_time_is_told_as_it_was_and_put_back_by_new_events(followed: Followed) -> None:
    followed.bind("kept", match="black")
    followed.bind("lost", match="red")
    followed.bind("changed", match="blue")
    then = followed.tick()
    followed.release("lost")
    followed.bind("changed", match="green")
    followed.bind("new", match="white")
    now = followed.tick()
    assert [one.term for one in past(followed).in_force(then)] == ["changed", "kept", "lost"]
    events = past(followed).rollback(then, None, "ann", now)
    assert named(events) == [("new", "ReleaseData"), ("changed", "BindData"), ("lost", "BindData")]
    selectors = {s: d.selector.match for s, d in events if isinstance(d, BindData)}
    assert selectors == {"changed": "blue", "lost": "red"}
    assert named(past(followed).rollback(then, ["lost"], "ann", now)) == [("lost", "BindData")]
    assert past(followed).rollback(now, None, "ann", now) == []


def test_a_campaign_that_was_not_there_goes_as_one(followed: Followed) -> None:
    then = followed.tick()
    binds = tuple(Bind(term, 5, (), 0, 0, Selector(match="x"), "", "", then) for term in ("a", "b"))
    followed.register(Campaign("spring", 5, binds, "ann"))
    events = past(followed).rollback(then, None, "ann", followed.tick())
    assert named(events) == [("spring", "CampaignReleaseData")]


def test_words_are_told_and_put_back_as_they_were_typed(followed: Followed) -> None:
    for number, word in enumerate(("C++", "C#", "c"), start=10):
        event = encode_term(word, BindData(number, SelectorData(match=word)), "/ops")
        followed.register(
            decode_term(None, event, 1 << 20, followed.tick(), rules_of(followed.topology))
        )
    history = past(followed)
    assert [[h.written for h in history.history(term)] for term in ("c++", "c#", "c")] == [
        ["C++"],
        ["C#"],
        ["c"],
    ]
    then = followed.tick()
    followed.release("c++")
    ((subject, data),) = past(followed).rollback(then, ["c++"], "ann", followed.tick())
    assert subject == "C++"
    assert isinstance(data, BindData)
    assert data.replace
