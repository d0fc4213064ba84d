"""A term's time is minded where it is read, whatever the logs have said by then."""

import msgspec
import pytest
from tests.streams.followed import Followed

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.items import Item
from kae.encoders.selector import Selector
from kae.sinks.log.term_changes import Bind
from kae.sinks.terms.due import ShardStates
from kae.streams.events.envelope import Undecodable
from kae.streams.events.terms import decode_term, rules_of
from kae.streams.replica.search import Search
from kae.streams.topology.types import Topology


def bind(followed: Followed, term: str, from_ms: int, until_ms: int) -> None:
    entity = CATEGORY_INDEX["entity"]
    selector = Selector(where='brand = "hp"')
    position = followed.codebook.position_of(entity)
    accepted_ms = followed.tick()
    followed.register(
        Bind(term, 1, (), entity, position, selector, "", "", accepted_ms, from_ms, until_ms)
    )
    followed.spread_all()
    reached = dict.fromkeys(range(len(followed.shards)), followed.registrar.bindings.version)
    followed.registrar.apply_due(ShardStates(reached), len(followed.shards), followed.tick(), 1000)
    followed.spread_all()


def test_a_view_that_is_late_answers_for_no_term_that_is_over(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog[:300])
    until_ms = followed.now + 10_000
    bind(followed, "quietcore", 0, until_ms)
    bind(followed, "foreverword", 0, 0)
    followed.follow()
    view = followed.index.view
    assert view.at(until_ms - 1) is view
    late = view.at(until_ms)
    assert {b.term for b in late.visible.values()} == {"foreverword"}
    assert late.trie.bindings == late.visible.keys()
    search = Search(followed.codebook, followed.topology.replica.beam)
    assert search.answer(view, "quietcore", 10).items
    assert search.answer(late, "quietcore", 10).items == []
    followed.now = until_ms
    followed.swap()
    assert late.trie.path_count == followed.index.view.trie.path_count < view.trie.path_count
    assert (followed.receipt("quietcore").state, followed.receipt("foreverword").state) == (
        "expired",
        "bound",
    )


def test_a_term_is_attached_before_its_time_and_found_from_then_on(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog[:300])
    from_ms = followed.now + 10_000
    bind(followed, "quietcore", from_ms, 0)
    followed.follow()
    receipt = followed.receipt("quietcore")
    assert (receipt.state, followed.search("quietcore")) == ("scheduled", [])
    assert [stage.stage for stage in receipt.stages if stage.done][:3] == [
        "accepted",
        "bound",
        "attached",
    ]
    assert followed.index.view.next_change_ms == from_ms
    followed.now = from_ms
    followed.swap()
    assert len(followed.search("quietcore")) == receipt.attached_items > 0
    assert [s.at_ms for s in followed.receipt("quietcore").stages if s.stage == "active"] == [
        from_ms
    ]


@pytest.mark.parametrize("key", ["from", "until"])
@pytest.mark.parametrize(
    "moment",
    ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1970-01-01T00:00:00Z"],
)
def test_a_moment_out_of_the_calendar_is_refused_and_harms_nobody(key: str, moment: str) -> None:
    data = {"revision": 1, "selector": {"match": "hp"}, key: moment}
    event = {
        "specversion": "1.0", "type": "kae.term.bind.v1", "source": "x", "id": "1",
        "subject": "word", "data": data,
    }  # fmt: skip
    rules = rules_of(Topology.load())
    with pytest.raises(Undecodable, match="no time after 1970"):
        decode_term(b"word", msgspec.json.encode(event), 100_000, 1, rules)
