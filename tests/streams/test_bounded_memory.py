"""What a shard, the registrar and a replica hold does not grow with what they have done."""

import gc
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

from tests.streams.followed import NAME, SHARDS, Followed

from kae.deploy.brokers import ApacheKafka
from kae.encoders.items import Item
from kae.encoders.selector import Selector
from kae.sinks.log.term_changes import Bind, Release, TermChange
from kae.sinks.terms.bindings import REFUSALS_KEPT
from kae.streams.kafka.log import IDLE_CONSUMERS, KafkaClients
from kae.streams.replica.leases import FORGOTTEN_MS, Lease
from kae.streams.replica.term_progress import RELEASED_KEPT

# docs/operations.md names this number: the revision of a term that was ever bound, in one process.
TOMBSTONE_BYTES = 200
DELTAS = 2000
TERMS = 2 * RELEASED_KEPT
AT_ONCE = 200
SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)


def held_bytes(root: object, without: Iterable[object] = ()) -> int:
    """The size of all that an object leads to, as the collector sees it."""
    seen = {id(one) for one in without}
    waiting, total = [root], 0
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, SHARED):
            continue
        seen.add(id(one))
        total += sys.getsizeof(one)
        waiting.extend(gc.get_referents(one))
        if isinstance(one, dict):
            waiting.extend(one)  # the collector passes over keys that are strings
    return total


def sizes(followed: Followed) -> dict[str, int]:
    logs = (*followed.logs, followed.bindings_log)
    return {
        "shard": held_bytes(followed.shards[0], logs),
        "registrar": held_bytes(followed.registrar, logs),
        "replica": held_bytes(followed.index, logs),
    }


def change_again(followed: Followed, items: list[Item], deltas: int) -> None:
    """So many deltas for each shard, over the same items."""
    for number in range(deltas):
        followed.put([items[number % len(items)], items[(number + 1) % len(items)]])
        if number % 50 == 0:
            followed.follow()
            for shard in followed.shards:
                shard.selector_index.refresh(10_000)
    followed.follow()


def register(followed: Followed, changes: list[TermChange]) -> None:
    followed.registrar.register(
        followed.registrar.plan(changes),
        0,
        followed.registrar.next_offset + len(changes),
        followed.tick(),
    )
    followed.spread_all()
    followed.follow()


def come_and_go(followed: Followed, terms: range) -> None:
    """Bind and release terms that were never seen before, a few at a time."""
    for first in range(terms.start, terms.stop, AT_ONCE):
        names = [f"term{n:07}" for n in range(first, min(first + AT_ONCE, terms.stop))]
        register(followed, [bind(followed, name) for name in names])
        register(followed, [Release(name, 2) for name in names])
        reached = [followed.registrar.bindings.version] * SHARDS
        assert followed.registrar.free_slots(reached, SHARDS, followed.tick(), 0) == len(names)
    followed.follow()


def bind(followed: Followed, name: str) -> Bind:
    at = followed.tick()
    return Bind(name, 1, (), 0, 0, Selector(match="laser"), "me", "for a test", at)


def test_deltas_leave_nothing_behind(followed: Followed, catalog: list[Item]) -> None:
    items = catalog[:100]
    change_again(followed, items, DELTAS)
    before = sizes(followed)
    change_again(followed, items, DELTAS)
    after = sizes(followed)
    assert followed.index.view.versions[0] > DELTAS
    for name, size in before.items():
        # Far less than one byte a delta: what varies is the last batch, and the room of arrays.
        assert after[name] - size < DELTAS / 2, name


def test_a_term_that_came_and_went_leaves_its_revision_behind_and_no_more(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog[:300])
    come_and_go(followed, range(TERMS))
    before = sizes(followed)
    come_and_go(followed, range(TERMS, 2 * TERMS))
    after = sizes(followed)
    assert len(followed.index.view.bindings.terms) == 2 * TERMS
    assert abs(after["shard"] - before["shard"]) < TERMS
    for name in ("registrar", "replica"):
        each = (after[name] - before[name]) / TERMS
        print(f"{name}: {each:.0f} bytes a term")
        assert 0 < each < TOMBSTONE_BYTES, name
    progress, view = followed.index.term_progress, followed.index.view
    kept = (progress.released, progress.detached, progress.release_applied_ms)
    assert [len(one) for one in kept] == [RELEASED_KEPT] * 3
    for gone in (
        progress.attached,
        progress.decodable_ms,
        progress.applied_ms,
        view.bindings.bound_at,
    ):
        assert gone == {}


def test_what_was_released_long_ago_is_told_as_released_and_stays_stale(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog[:300])
    come_and_go(followed, range(RELEASED_KEPT + AT_ONCE))
    old, recent = followed.receipt("term0000000"), followed.receipt(f"term{RELEASED_KEPT:07}")
    assert [(s.stage, s.at_ms) for s in old.stages] == [("released", None)]
    assert (old.state, old.revision, recent.state) == ("released", 2, "released")
    assert [stage.stage for stage in recent.stages] == ["released", "detached", "applied"]
    assert None not in [stage.at_ms for stage in recent.stages]
    register(followed, [bind(followed, "term0000000")])
    assert followed.index.view.bindings.counts.stale == 1
    assert followed.index.view.bindings.bound == {}


def test_bound_terms_keep_their_receipts_whatever_comes_and_goes(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog[:300])
    followed.bind("quietcore", where='brand = "hp"')
    followed.spread_all()
    followed.follow()
    before = followed.receipt("quietcore")
    come_and_go(followed, range(RELEASED_KEPT + AT_ONCE))
    after = followed.receipt("quietcore")
    assert after.stages == before.stages
    assert [stage.done for stage in after.stages] == [True] * 6


def test_refusals_are_forgotten_oldest_first(followed: Followed) -> None:
    room = len(followed.codebook.reserved(0))
    register(followed, [bind(followed, f"bound{n}") for n in range(room)])
    for first in range(0, REFUSALS_KEPT + AT_ONCE, AT_ONCE):
        register(followed, [bind(followed, f"refused{n}") for n in range(first, first + AT_ONCE)])
    refused = followed.index.view.bindings.refused
    assert len(refused) == REFUSALS_KEPT
    assert next(iter(refused)) == f"refused{AT_ONCE}"
    newest = followed.receipt(f"refused{REFUSALS_KEPT + AT_ONCE - 1}")
    assert newest.refused is not None
    assert "0 of 256 free" in newest.refused.cause


def test_replicas_that_are_gone_for_a_day_are_forgotten(followed: Followed) -> None:
    for number in range(100):
        followed.lease(
            Lease(followed.topology.generation, f"pod-{number}", 0, (0, 0), followed.now)
        )
        followed.now += FORGOTTEN_MS // 10
    assert [lease.replica for lease in followed.leases.all()] == [
        f"pod-{n}" for n in range(89, 100)
    ]
    followed.lease(Lease(followed.topology.generation, NAME, 0, (0, 0), followed.now))
    assert len(followed.leases.all()) == 11


def test_consumers_that_nobody_uses_are_closed_but_for_a_few(kafka: ApacheKafka) -> None:
    clients = KafkaClients(kafka.bootstrap, "many", timeout_seconds=10, max_bytes=1 << 20)
    with ExitStack() as readings:
        many = [
            readings.enter_context(clients.borrowed_consumer()) for _ in range(IDLE_CONSUMERS + 3)
        ]
    assert [one._closed for one in many].count(True) == 3
    clients.close()
    assert all(one._closed for one in many)
