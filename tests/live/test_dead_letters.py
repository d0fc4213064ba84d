"""Malformed events become dead letters; repaired and replayed, they give the clean index."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

from tests.live.asking import kae, told
from tests.live.killer import wait_for
from tests.live.ledger import Event, Ledger, bind, upserts
from tests.live.malformed import malformed
from tests.live.proof import prove

from kae.deploy.cluster import Cluster
from kae.encoders.items import Item

TERMS = [bind("zorblax", match="black"), bind("quietcore", where='brand = "hp"')]
SHARDS = range(8)


def asked(cluster: Cluster, *arguments: str, code: int = 0) -> Any:
    """What `kae dead-letters ... --json` prints."""
    return told(cluster, "dead-letters", *arguments, code=code)


def test_repaired_and_replayed_letters_give_the_index_of_the_clean_input(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], tmp_path: Path
) -> None:
    clean = upserts(catalog)
    broken = malformed(clean, cluster.topology)
    assert len({kind for kind, _ in broken}) > 20
    for name in ("one", "two"):
        cluster.start_worker(name, wait=False)
    cluster.wait_ready()
    ledger.publish(TERMS)
    kinds, events = {}, [(kind, event, n) for n, (kind, event) in enumerate(broken)]
    random.Random(7).shuffle(events)
    rest = clean[len(broken) + 1 :]
    for n, (kind, event, good) in enumerate(events):
        ledger.publish(rest[n * 60 : (n + 1) * 60])
        ((partition, offset),) = ledger.publish([event])
        kinds[partition, offset] = (kind, clean[good])
    ledger.publish(rest[len(events) * 60 :])
    swollen = Item(
        catalog[len(broken)].id, "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 60_000
    )
    unplannable = ledger.publish_dead(upserts([swollen])[0])
    kinds[unplannable] = ("item.unplannable", clean[len(broken)])
    prove(cluster, ledger, tmp_path / "broken")

    found = asked(cluster, "list", "--limit", "1000")
    letters = {(one["partition"], one["offset"]): one for one in found["letters"]}
    assert {at: one["kind"] for at, one in letters.items()} == {
        at: k for at, (k, _) in kinds.items()
    }
    assert all(one["cause"] for one in letters.values())
    counted = Counter(kind for kind, _ in kinds.values())
    assert {one["kind"]: one["letters"] for one in found["kinds"]} == counted

    repairs = tmp_path / "repaired.jsonl"
    repairs.write_bytes(
        b"".join(
            b'{"letter":"%s","event":%s}\n' % (letters[at]["letter"].encode(), good.value)
            for at, (_, good) in kinds.items()
        )
    )
    replay = ("replay", "--with", str(repairs))
    seen = asked(cluster, *replay, "--dry-run")
    assert (seen["sent"], len(seen["steps"])) == (0, len(kinds))
    kae(cluster, "dead-letters", *replay, code=1)  # nobody can be asked, nothing is sent
    assert ledger.note_others() == []
    assert asked(cluster, *replay, "--yes")["sent"] == len(kinds)
    again = asked(cluster, *replay, "--yes")
    assert (again["sent"], again["replayed_already"]) == (0, len(kinds))
    assert len(ledger.note_others()) == len(kinds)
    assert asked(cluster, "list")["letters_found"] == 0
    assert asked(cluster, "list", "--all")["letters_found"] == len(kinds)

    for name in ("one", "two"):
        cluster.start_worker(name, wait=False)
    cluster.wait_ready()
    prove(cluster, ledger, tmp_path / "repaired")
    for shard in SHARDS:
        assert ledger.hash(shard) == ledger.hash_of(shard, clean), f"shard {shard}"
    cluster.start_replica("replica")
    url = cluster.replicas["replica"].url
    status = told(cluster, "status", "--replica", url)
    assert status["dead_letters"] == {"open": 0, "replayed": len(kinds), "foreign_records": 0}
    assert status["balanced"]
    assert status["counts"]["dead"] == len(kinds)


def test_a_letter_that_is_not_repaired_dies_again_until_its_replays_are_used_up(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], tmp_path: Path
) -> None:
    good = upserts(catalog[:1])[0]
    traced = (("traceparent", b"00-1"), ("kae-key", b"of somebody else"))
    broken = Event(good.key, (good.value or b"").replace(b'"revision":1', b'"revision":-1'))
    cluster.start_worker("one")
    ledger.publish([Event(broken.key, broken.value, headers=traced), *upserts(catalog[1:50])])
    for replays in range(cluster.topology.limits.replays):
        letter = the_open_letter(cluster, replays)
        report = asked(cluster, "replay", "--kind", "data.revision", "--yes")
        assert (report["sent"], report["refused"]) == (1, 0)
        assert [step["dies_of"] for step in report["steps"]] == ["data.revision.range"]
    letter = the_open_letter(cluster, cluster.topology.limits.replays)
    refused = asked(cluster, "replay", letter, "--yes", code=1)
    assert (refused["sent"], refused["refused"]) == (0, 1)
    assert asked(cluster, "replay", letter, "--yes", "--force")["sent"] == 1
    the_open_letter(cluster, cluster.topology.limits.replays + 1)

    sent = ledger.note_others()
    assert [event.value for event in sent] == [broken.value] * 4
    assert sent[-1].headers == (*traced, ("kae_replay_of", letter.encode()), ("kae_replays", b"4"))
    prove(cluster, ledger, tmp_path)
    assert sum(ledger.counts(shard).dead for shard in SHARDS) == 5


def the_open_letter(cluster: Cluster, replays: int) -> str:
    """Wait for the one open letter whose event was sent again so often."""

    def look() -> str | None:
        letters = asked(cluster, "list")["letters"]
        return next((one["letter"] for one in letters if one["replays"] == replays), None)

    return wait_for(look, f"a letter that was replayed {replays} times")
