"""What an item was at a time, from the logs that real shards and a real registrar have written."""

from tests.streams.followed import SHARDS, Followed
from tests.streams.test_term_history import past

from kae.encoders.items import Item
from kae.encoders.selector import Selector
from kae.sinks.log.edits import PutItem
from kae.sinks.log.fold import LogState, fold
from kae.sinks.log.item_past import ItemPast
from kae.sinks.log.term_changes import Adjust
from kae.streams.kafka.partitioner import partition_of
from kae.streams.replica.explain import describe_item
from kae.streams.replica.item_history import ItemAtTime, describe_item_at, why_selected


def folded(followed: Followed, item_id: str, at_ms: int) -> tuple[ItemPast, int]:
    shard = partition_of(item_id, SHARDS)
    known, state = ItemPast(item_id), LogState()
    version = 0
    for offset, record in enumerate(followed.logs[shard].records):
        after = fold(state, offset, record)
        state = after.state
        if after.delta is not None and after.delta.at_ms <= at_ms:
            known.note(after.delta, offset)
            version = after.delta.version
    return known, version


def then(followed: Followed, item_id: str, at_ms: int) -> ItemAtTime:
    known, version = folded(followed, item_id, at_ms)
    shard = partition_of(item_id, SHARDS)
    return describe_item_at(
        followed.codebook, known, past(followed).bindings(at_ms), shard, version, at_ms
    )


def test_an_item_is_told_as_it_was_at_each_time(followed: Followed, catalog: list[Item]) -> None:
    items = catalog[:300]
    followed.put(items)
    followed.follow()
    selector = 'color = "black"'
    followed.bind("quietcore", where=selector)
    followed.spread_all()
    followed.follow()
    item_id = followed.search("quietcore", 1)[0].id
    bound_at = followed.tick()
    live = describe_item(followed.codebook, followed.index, followed.index.view, item_id)
    assert live is not None
    seen = then(followed, item_id, bound_at)
    assert (seen.live, seen.title, seen.revision) == (True, live.title, live.revision)
    assert (seen.identifier, seen.attributes) == (live.identifier, live.attributes)
    assert seen.since is not None
    assert live.put is not None
    assert (seen.since.version, seen.since.offset) == (live.put.version, live.put.offset)
    assert [(t.term, t.path) for t in seen.terms] == [(p.term, p.words) for p in live.paths[1:]]
    assert seen.terms[0].why == f"its words hold {selector}"

    followed.release("quietcore")
    followed.spread_all()
    released_at = followed.tick()
    followed.drop([item_id])
    dropped_at = followed.tick()
    followed.put([item for item in items if item.id == item_id])
    assert then(followed, item_id, released_at).terms == []
    gone = then(followed, item_id, dropped_at)
    assert (gone.live, gone.title, gone.attributes) == (False, "", [])
    assert then(followed, item_id, followed.tick()).identifier == seen.identifier
    assert then(followed, item_id, bound_at) == seen


def test_a_term_that_is_bound_first_is_told_with_the_item_that_comes(followed: Followed) -> None:
    followed.bind("quietcore", match="zorblax")
    followed.register(Adjust("quietcore", 50, ("1",), (), ("2",), followed.tick(), "ann"))
    followed.spread_all()
    followed.put([Item(str(n), "Zorblax shoe") for n in range(3)])
    known, _ = folded(followed, "2", followed.tick())
    assert isinstance(known.edit, PutItem)
    assert [since and since.version for since in known.attached.values()] == [2, 2]
    told = then(followed, "2", followed.tick()).terms
    assert [(one.state, one.why) for one in told] == [
        ("active", "has the phrase 'zorblax'"),
        ("pending", "pinned, number 1"),
    ]
    assert why_selected(Selector(plus=("1",)), "1") == "added by its id"


def test_what_a_snapshot_held_is_told_without_since_when(followed: Followed) -> None:
    followed.put([Item("1", "Zorblax shoe")])
    followed.bind("quietcore", match="zorblax")
    followed.spread_all()
    followed.follow()
    reader = followed.index.view.shards[partition_of("1", SHARDS)]
    known = ItemPast("1", reader.item("1"), reader.attached, 1)
    assert (known.attached, known.since) == ({1: None}, None)
    assert ItemPast("other", None, reader.attached, 1).attached == {}
