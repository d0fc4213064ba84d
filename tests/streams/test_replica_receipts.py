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


def test_a_term_advances_stage_by_stage(line: Followed, catalog: list[Item]) -> None:
    line.put(catalog[:300])
    line.follow()
    with pytest.raises(LookupError):
        line.receipt("quietcore")
    revision = line.bind("quietcore", where='brand = "hp"')
    line.follow()
    assert done(line.receipt("quietcore")) == ["accepted", "bound", "active"]
    line.spread(0)
    line.follow()
    assert reached(line.receipt("quietcore"))["attached"] == f"1/{SHARDS}"
    assert reached(line.receipt("quietcore"))["applied"] == "0/1"
    line.spread(1)
    line.follow()
    receipt = line.receipt("quietcore")
    assert done(receipt) == ["accepted", "bound", "attached", "active", "applied", "decodable"]
    assert receipt.revision == revision
    assert receipt.attached_items == len(line.search("quietcore")) > 0
    times = [stage.at_ms for stage in receipt.stages]
    assert None not in times
    by_name = dict(zip(reached(receipt), times, strict=True))
    order = ("accepted", "bound", "attached", "applied")
    assert sorted(order, key=lambda stage: by_name[stage] or 0) == list(order)


def test_what_is_folded_counts_only_once_a_view_holds_it(
    line: Followed, catalog: list[Item]
) -> None:
    line.put(catalog[:300])
    line.bind("quietcore", where='brand = "hp"')
    line.follow()
    line.spread_all()
    for shard in range(SHARDS):
        line.follow_shard(shard)
    assert reached(line.receipt("quietcore"))["attached"] == f"0/{SHARDS}"
    line.swap()
    assert reached(line.receipt("quietcore"))["attached"] == f"{SHARDS}/{SHARDS}"


def test_a_revision_has_come_when_it_reached_the_stage_or_never_will(
    line: Followed, catalog: list[Item]
) -> None:
    line.put(catalog[:300])
    assert not has_reached(None, 0, "decodable")
    revision = line.bind("quietcore", where='brand = "hp"')
    line.follow()
    assert has_reached(line.receipt("quietcore"), revision, "bound")
    assert not has_reached(line.receipt("quietcore"), revision, "decodable")
    line.spread_all()
    line.follow()
    assert has_reached(line.receipt("quietcore"), revision, "decodable")
    assert has_reached(line.receipt("quietcore"), revision - 1, "decodable")
    assert not has_reached(line.receipt("quietcore"), revision + 1, "decodable")
    released = line.release("quietcore")
    line.follow()
    assert not has_reached(line.receipt("quietcore"), released, "detached")
    line.spread_all()
    line.follow()
    assert has_reached(line.receipt("quietcore"), released, "detached")


def test_a_term_without_items_is_waited_for_until_it_is_attached(line: Followed) -> None:
    revision = line.bind("quietcore", where='brand = "nobody"')
    line.spread_all()
    line.follow()
    assert has_reached(line.receipt("quietcore"), revision, "decodable")


def test_a_term_is_applied_once_every_live_replica_has_it(
    line: Followed, catalog: list[Item]
) -> None:
    line.put(catalog[:100])
    line.follow()
    behind = Lease(1, "replica-2", 0, line.index.view.versions, line.now)
    line.lease(behind)
    line.bind("quietcore", where='brand = "hp"')
    line.spread_all()
    line.follow()
    assert reached(line.receipt("quietcore"))["applied"] == "1/2"
    assert "applied" not in done(line.receipt("quietcore"))
    line.lease(Lease(1, "replica-2", 1, line.index.view.versions, line.tick()))
    receipt = line.receipt("quietcore")
    assert reached(receipt)["applied"] == "2/2"
    assert next(s for s in receipt.stages if s.stage == "applied").at_ms == line.now


def test_a_replica_that_is_silent_or_signed_off_is_not_waited_for(line: Followed) -> None:
    lease_ms = int(line.topology.replica.lease_seconds * 1000)
    line.lease(Lease(1, NAME, 0, (0, 0), line.now))
    line.lease(Lease(1, "replica-2", 0, (0, 0), line.now))
    line.lease(Lease(2, "of another generation", 0, (0, 0), line.now))
    assert [lease.replica for lease in line.leases.live(line.now + lease_ms)] == [NAME, "replica-2"]
    assert line.leases.live(line.now + lease_ms + 1) == []
    assert len(line.leases.all()) == 2
    line.leases.add(b"replica-2", None)
    assert [lease.replica for lease in line.leases.all()] == [NAME]


def test_a_record_that_is_no_lease_stops_the_replica(line: Followed) -> None:
    with pytest.raises(LeaseInvalid, match="not a lease"):
        line.leases.add(b"x", b"\xc1")


def test_a_released_term_is_detached_and_applied(line: Followed, catalog: list[Item]) -> None:
    line.put(catalog[:300])
    line.bind("quietcore", where='brand = "hp"')
    line.spread_all()
    line.follow()
    revision = line.release("quietcore")
    line.follow()
    receipt = line.receipt("quietcore")
    assert (receipt.state, receipt.revision, receipt.attached_items) == ("released", revision, 0)
    assert done(receipt) == ["released", "applied"]
    line.spread_all()
    line.follow()
    assert done(line.receipt("quietcore")) == ["released", "detached", "applied"]


def test_a_selector_without_items_leaves_nothing_to_decode(
    line: Followed, catalog: list[Item]
) -> None:
    line.put(catalog[:50])
    line.bind("quietcore", match="zorblax")
    line.spread_all()
    line.follow()
    receipt = line.receipt("quietcore")
    assert receipt.attached_items == 0
    assert done(receipt) == ["accepted", "bound", "attached", "active", "applied"]
    line.put([Item("new-1", "A zorblax")])
    line.follow()
    assert done(line.receipt("quietcore"))[-1] == "decodable"


def test_a_refused_term_has_the_cause(line: Followed) -> None:
    for number in range(len(line.codebook.reserved(0))):
        line.bind(f"word{number}", match="x")
    revision = line.bind("one-too-many", match="x")
    line.follow()
    receipt = line.receipt("one-too-many")
    assert receipt.state == "refused"
    assert receipt.refused is not None
    assert receipt.refused.revision == revision
    assert "CodebookFull" in receipt.refused.cause


def test_a_receipt_names_who_is_missing(line: Followed, catalog: list[Item]) -> None:
    line.put(catalog[:100])
    line.bind("quietcore", where='brand = "hp"')
    line.spread(0)
    line.follow()

    def missing() -> dict[str, tuple[str, ...]]:
        return {stage.stage: stage.missing for stage in line.receipt("quietcore").stages}

    assert missing()["attached"] == ("shard 1",)
    assert missing()["applied"] == (NAME,)
    line.spread(1)
    line.follow()
    view = line.index.view
    slow = Lease(view.generation, "slow", view.bindings.version, (1, 0), line.now)
    line.lease(slow)
    assert missing() == {**dict.fromkeys(missing(), ()), "applied": ("slow",)}
    held = sum(view.versions)
    assert slow.behind(view.bindings.version, view.versions) == held - 1
    assert slow.behind(view.bindings.version + 2, view.versions) == held + 1
    line.now += 60_000
    line.swap()
    assert missing()["applied"] == ()
