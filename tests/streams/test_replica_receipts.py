"""Receipts: each stage comes when it is true, and not before."""

import pytest
from tests.streams.followed import NAME, SHARDS, Followed

from kae.encoders.items import Item
from kae.streams.replica.leases import Lease, LeaseInvalid
from kae.streams.replica.receipts import has_reached
from kae.streams.replica_api.terms import Receipt


def reached(receipt: Receipt) -> dict[str, str]:
    return {stage.stage: f"{stage.count}/{stage.of}" for stage in receipt.stages}


def done(receipt: Receipt) -> list[str]:
    return [stage.stage for stage in receipt.stages if stage.done]


def test_a_term_advances_stage_by_stage(followed: Followed, catalog: list[Item]) -> None:
    followed.put(catalog[:300])
    followed.follow()
    with pytest.raises(LookupError):
        followed.receipt("quietcore")
    revision = followed.bind("quietcore", where='brand = "hp"')
    followed.follow()
    assert done(followed.receipt("quietcore")) == ["accepted", "bound", "active"]
    followed.spread(0)
    followed.follow()
    assert reached(followed.receipt("quietcore"))["attached"] == f"1/{SHARDS}"
    assert reached(followed.receipt("quietcore"))["applied"] == "0/1"
    followed.spread(1)
    followed.follow()
    receipt = followed.receipt("quietcore")
    assert done(receipt) == ["accepted", "bound", "attached", "active", "applied", "decodable"]
    assert receipt.revision == revision
    assert receipt.attached_items == len(followed.search("quietcore")) > 0
    times = [stage.at_ms for stage in receipt.stages]
    assert None not in times
    by_name = dict(zip(reached(receipt), times, strict=True))
    order = ("accepted", "bound", "attached", "applied")
    assert sorted(order, key=lambda stage: by_name[stage] or 0) == list(order)


def test_what_is_folded_counts_only_once_a_view_holds_it(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog[:300])
    followed.bind("quietcore", where='brand = "hp"')
    followed.follow()
    followed.spread_all()
    for shard in range(SHARDS):
        followed.follow_shard(shard)
    assert reached(followed.receipt("quietcore"))["attached"] == f"0/{SHARDS}"
    followed.swap()
    assert reached(followed.receipt("quietcore"))["attached"] == f"{SHARDS}/{SHARDS}"


def test_a_revision_has_come_when_it_reached_the_stage_or_never_will(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog[:300])
    assert not has_reached(None, 0, "decodable")
    revision = followed.bind("quietcore", where='brand = "hp"')
    followed.follow()
    assert has_reached(followed.receipt("quietcore"), revision, "bound")
    assert not has_reached(followed.receipt("quietcore"), revision, "decodable")
    followed.spread_all()
    followed.follow()
    assert has_reached(followed.receipt("quietcore"), revision, "decodable")
    assert has_reached(followed.receipt("quietcore"), revision - 1, "decodable")
    assert not has_reached(followed.receipt("quietcore"), revision + 1, "decodable")
    released = followed.release("quietcore")
    followed.follow()
    assert not has_reached(followed.receipt("quietcore"), released, "detached")
    followed.spread_all()
    followed.follow()
    assert has_reached(followed.receipt("quietcore"), released, "detached")


def test_a_term_without_items_is_waited_for_until_it_is_attached(followed: Followed) -> None:
    revision = followed.bind("quietcore", where='brand = "nobody"')
    followed.spread_all()
    followed.follow()
    assert has_reached(followed.receipt("quietcore"), revision, "decodable")


def test_a_term_is_applied_once_every_live_replica_has_it(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog[:100])
    followed.follow()
    behind = Lease(1, "replica-2", 0, followed.index.view.versions, followed.now)
    followed.lease(behind)
    followed.bind("quietcore", where='brand = "hp"')
    followed.spread_all()
    followed.follow()
    assert reached(followed.receipt("quietcore"))["applied"] == "1/2"
    assert "applied" not in done(followed.receipt("quietcore"))
    followed.lease(Lease(1, "replica-2", 1, followed.index.view.versions, followed.tick()))
    receipt = followed.receipt("quietcore")
    assert reached(receipt)["applied"] == "2/2"
    assert next(s for s in receipt.stages if s.stage == "applied").at_ms == followed.now


def test_a_replica_that_is_silent_or_signed_off_is_not_waited_for(followed: Followed) -> None:
    lease_ms = int(followed.topology.replica.lease_seconds * 1000)
    followed.lease(Lease(1, NAME, 0, (0, 0), followed.now))
    followed.lease(Lease(1, "replica-2", 0, (0, 0), followed.now))
    followed.lease(Lease(2, "of another generation", 0, (0, 0), followed.now))
    assert [lease.replica for lease in followed.leases.live(followed.now + lease_ms)] == [
        NAME,
        "replica-2",
    ]
    assert followed.leases.live(followed.now + lease_ms + 1) == []
    assert len(followed.leases.all()) == 2
    followed.leases.add(b"replica-2", None)
    assert [lease.replica for lease in followed.leases.all()] == [NAME]


def test_a_record_that_is_no_lease_stops_the_replica(followed: Followed) -> None:
    with pytest.raises(LeaseInvalid, match="not a lease"):
        followed.leases.add(b"x", b"\xc1")


def test_a_released_term_is_detached_and_applied(followed: Followed, catalog: list[Item]) -> None:
    followed.put(catalog[:300])
    followed.bind("quietcore", where='brand = "hp"')
    followed.spread_all()
    followed.follow()
    revision = followed.release("quietcore")
    followed.follow()
    receipt = followed.receipt("quietcore")
    assert (receipt.state, receipt.revision, receipt.attached_items) == ("released", revision, 0)
    assert done(receipt) == ["released", "applied"]
    followed.spread_all()
    followed.follow()
    assert done(followed.receipt("quietcore")) == ["released", "detached", "applied"]


def test_a_selector_without_items_leaves_nothing_to_decode(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog[:50])
    followed.bind("quietcore", match="zorblax")
    followed.spread_all()
    followed.follow()
    receipt = followed.receipt("quietcore")
    assert receipt.attached_items == 0
    assert done(receipt) == ["accepted", "bound", "attached", "active", "applied"]
    followed.put([Item("new-1", "A zorblax")])
    followed.follow()
    assert done(followed.receipt("quietcore"))[-1] == "decodable"


def test_a_refused_term_has_the_cause(followed: Followed) -> None:
    for number in range(len(followed.codebook.reserved(0))):
        followed.bind(f"word{number}", match="x")
    revision = followed.bind("one-too-many", match="x")
    followed.follow()
    receipt = followed.receipt("one-too-many")
    assert receipt.state == "refused"
    assert receipt.refused is not None
    assert receipt.refused.revision == revision
    assert "CodebookFull" in receipt.refused.cause


def test_a_receipt_names_who_is_missing(followed: Followed, catalog: list[Item]) -> None:
    followed.put(catalog[:100])
    followed.bind("quietcore", where='brand = "hp"')
    followed.spread(0)
    followed.follow()

    def missing() -> dict[str, tuple[str, ...]]:
        return {stage.stage: stage.missing for stage in followed.receipt("quietcore").stages}

    assert missing()["attached"] == ("shard 1",)
    assert missing()["applied"] == (NAME,)
    followed.spread(1)
    followed.follow()
    view = followed.index.view
    slow = Lease(view.generation, "slow", view.bindings.version, (1, 0), followed.now)
    followed.lease(slow)
    assert missing() == {**dict.fromkeys(missing(), ()), "applied": ("slow",)}
    held = sum(view.versions)
    assert slow.behind(view.bindings.version, view.versions) == held - 1
    assert slow.behind(view.bindings.version + 2, view.versions) == held + 1
    followed.now += 60_000
    followed.swap()
    assert missing()["applied"] == ()
