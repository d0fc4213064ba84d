"""Shards are paused, reset and refolded amid streams and kills, and end as the oracle says."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from tests.fetching import fetch
from tests.icecat import catalog_items
from tests.live.asking import kae, told
from tests.live.killer import Killer, wait_for
from tests.live.ledger import Ledger, bind, release, storm, upserts
from tests.live.proof import prove
from tests.live.refold import Reading
from tests.live.scrape import scrape
from tests.live.streaming import Stream

from kae.deploy.cluster import Cluster
from kae.encoders.items import Item
from kae.sinks.log.edits import Delta
from kae.sinks.log.fold import LogState
from kae.sinks.store import keys
from kae.streams.control import records
from kae.streams.kafka.log import KafkaClients
from kae.streams.runtime import failpoints

pytestmark = pytest.mark.long
TERMS = [bind("zorblax", match="black"), bind("quietcore", where='brand = "hp"')]
SHARDS = range(8)


def shard(cluster: Cluster, *arguments: str, code: int = 0) -> Any:
    """What `kae shard ... --json` prints."""
    return told(cluster, "shard", *arguments, code=code)


def asking(cluster: Cluster, *arguments: str, code: int = 0) -> Any:
    """The same of a command that asks the replica too."""
    return shard(cluster, *arguments, "--replica", cluster.replica.url, code=code)


def standing(cluster: Cluster) -> dict[int, dict[str, Any]]:
    answer = fetch(f"{cluster.replica.url}/status")
    return {one["shard"]: one for one in answer.raise_for_status().json()["shards"]}


def next_offsets(cluster: Cluster) -> dict[int, int]:
    return {number: one["source_next_offset"] for number, one in standing(cluster).items()}


def answered(report: Any) -> list[tuple[int, str]]:
    return [(one["shard"], one["outcome"]) for one in report["answers"]]


@contextmanager
def streaming(cluster: Cluster, ledger: Ledger, killer: Killer) -> Iterator[Stream]:
    """Two workers and a replica, with a storm of events that has begun."""
    cluster.start_replica("replica", wait=False)
    for name in ("one", "two"):
        cluster.start_worker(name, killer.env, wait=False)
    cluster.wait_ready()
    ledger.publish(TERMS)
    stream = Stream(ledger, storm(catalog_items(8000), seed=5))
    wait_for(lambda: sum(next_offsets(cluster).values()) > 1000, "a part of the stream")
    before = ledger.published()
    yield stream
    stream.end()
    assert ledger.published() - before > 1000, "it came too late in the stream"


def paused_by_workers(cluster: Cluster) -> float:
    told = [scrape(cluster.worker_url(name)) for name in cluster.workers]
    return sum(one.total("kae_worker_shard_paused") for one in told)


def jumps(cluster: Cluster) -> dict[int, list[tuple[int, int]]]:
    """Where each shard was reset, and to where, as its log says."""
    clients = KafkaClients(
        cluster.topology.kafka.bootstrap, "jumps", timeout_seconds=30, max_bytes=1 << 20
    )
    found = {}
    for number in SHARDS:
        found[number] = back = list[tuple[int, int]]()
        at = 0

        def apply(delta: Delta, _: LogState, back: list[tuple[int, int]] = back) -> None:
            nonlocal at
            if delta.source.next_offset < at:
                back.append((at, delta.source.next_offset))
            at = delta.source.next_offset

        Reading(clients, cluster.topology.deltas_topic, number, apply).read_on()
    clients.close()
    return {number: back for number, back in found.items() if back}


def prove_read_again(cluster: Cluster, ledger: Ledger, scratch: Path) -> None:
    """The proof for shards of which events were read again: those count again, as stale or dead."""
    for number, back in jumps(cluster).items():
        for at, to in back:
            ledger.note_read_again(number, at, to)
    prove(cluster, ledger, scratch)


def test_a_paused_shard_stays_paused_through_kill_9_while_terms_are_attached(
    cluster: Cluster, ledger: Ledger, killer: Killer, tmp_path: Path
) -> None:
    with streaming(cluster, ledger, killer):
        report = shard(cluster, "pause", "3", "5", "--reason", "a slow disk", "--yes")
        assert answered(report) == [(3, "done"), (5, "done")]
        wait_for(lambda: all(standing(cluster)[n]["paused"] for n in (3, 5)), "the replica")
        paused_at = {n: next_offsets(cluster)[n] for n in (3, 5)}
        owner = report["answers"][0]["worker"]
        cluster.workers[owner].kill()
        ledger.publish([bind("glimmer", match="toner cartridge"), release("zorblax", 2)])

    def only_they_wait() -> bool:
        shown, ends = standing(cluster), ledger.ends() | paused_at
        version = ledger.bindings_version()
        return all(
            shown[n]["source_next_offset"] == ends[n] and shown[n]["bindings_version"] == version
            for n in SHARDS
        )

    wait_for(only_they_wait, "everything but the items of the paused shards")
    cluster.start_worker(owner, killer.env)  # and a rebalance
    listed = {one["shard"]: one for one in asking(cluster, "list")["shards"]}
    assert {n for n, one in listed.items() if one["paused"]} == {3, 5}
    assert listed[3]["pause"]["reason"] == "a slow disk"
    assert listed[3]["next_offset"] == paused_at[3]
    wait_for(lambda: paused_by_workers(cluster) == 2, "the workers to tell it")
    assert scrape(cluster.replica.url).total("kae_replica_shard_paused") == 2
    assert listed[3]["lag_events"] == ledger.ends()[3] - paused_at[3] > 0
    assert "paused: 3, 5" in kae(cluster, "status", "--replica", cluster.replica.url).stdout

    assert answered(shard(cluster, "resume", "3", "5", "--yes")) == [(3, "done"), (5, "done")]
    prove(cluster, ledger, tmp_path)
    assert jumps(cluster) == {}


def test_a_shard_that_is_reset_reads_again_and_stays_the_same(
    cluster: Cluster, ledger: Ledger, killer: Killer, tmp_path: Path
) -> None:
    with streaming(cluster, ledger, killer):
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        wait_for(lambda: sum(next_offsets(cluster).values()) > 2500, "more of the stream")
        reset = ("reset", "1", "2", "--to-earliest")
        seen = asking(cluster, *reset, "--dry-run")
        assert [one["to_offset"] for one in seen["planned"]] == [0, 0]
        assert all(one["events_again"] == one["from_offset"] > 0 for one in seen["planned"])
        assert (seen["dry_run"], seen["answers"]) == (True, [])
        unasked = kae(cluster, "shard", *reset, "--replica", cluster.replica.url, code=1)
        assert "nobody can be asked here; give --yes" in unasked.stderr
        assert jumps(cluster) == {}
        assert answered(asking(cluster, *reset, "--yes")) == [(1, "done"), (2, "done")]
        report = asking(cluster, "reset", "6", "--to-time", moment, "--yes")
        assert answered(report) == [(6, "done")]

    (planned,) = report["planned"]
    assert stamped(cluster, 6, planned["to_offset"] - 1) < moment <= planned["to_at"]
    back = jumps(cluster)
    assert {number: [to for _, to in found] for number, found in back.items()} == {
        1: [0],
        2: [0],
        6: [planned["to_offset"]],
    }
    prove_read_again(cluster, ledger, tmp_path)
    assert ledger.counts(1).read == ledger.ends()[1] + back[1][0][0]


@pytest.mark.parametrize("step", failpoints.REQUEST_STEPS)
def test_a_reset_is_carried_out_once_also_when_its_owner_is_killed(
    step: str, cluster: Cluster, ledger: Ledger, killer: Killer, tmp_path: Path
) -> None:
    with streaming(cluster, ledger, killer):
        killer.arm(step)
        command = cluster.command(
            "reset", "shard", "reset", "0", "--to-earliest", "--yes", "--json", "--timeout", "60",
            "--replica", cluster.replica.url,
        )  # fmt: skip
        dead = killer.killed(step)
        killer.revive(dead)
        assert command.wait(within_seconds=60) == 0, command.last_words()
    assert answered(command.report()) == [(0, "done")]
    back = jumps(cluster)
    assert {number: [to for _, to in found] for number, found in back.items()} == {0: [0]}
    prove_read_again(cluster, ledger, tmp_path)


def test_a_refolded_shard_has_a_new_store_with_the_same_content(
    cluster: Cluster, ledger: Ledger, killer: Killer, tmp_path: Path
) -> None:
    with streaming(cluster, ledger, killer):
        before = standing(cluster)[4]
        seen = asking(cluster, "refold", "4", "--dry-run")["planned"][0]
        assert seen["version"] >= before["version"]
        assert seen["log_records"] > seen["version"]  # the claims lie between them
        assert seen["log_bytes"] > 0
        owner, _, epoch = seen["owner"].partition(" (epoch ")
        folder = keys.shard_folder(cluster.folder / owner, cluster.topology.generation, 4)
        (folder / "of-the-old-store").touch()
        assert answered(asking(cluster, "refold", "4", "--yes")) == [(4, "done")]
        assert not (folder / "of-the-old-store").exists()
        last = asking(cluster, "list")["shards"][4]
        assert (last["last"]["command"], last["last"]["answer"]["outcome"]) == ("refold", "done")
        assert last["epoch"] == int(epoch.removesuffix(")")) + 1
    prove(cluster, ledger, tmp_path)
    assert jumps(cluster) == {}


def test_what_cannot_be_done_is_refused_in_one_line_by_command_and_owner(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], tmp_path: Path
) -> None:
    cluster.start_replica("replica", wait=False)
    cluster.start_worker("one", wait=False)
    cluster.wait_ready()
    ledger.publish(upserts(catalog[:800]))
    wait_for(lambda: next_offsets(cluster) == ledger.ends(), "the items to be indexed")
    ends = ledger.ends()
    items = TopicPartition(cluster.topology.items_topic, 2)
    admin = KafkaAdminClient(bootstrap_servers=cluster.topology.kafka.bootstrap)
    admin.delete_records({items: 40})
    admin.close()

    replica = ("--replica", cluster.replica.url, "--yes")
    forward = kae(cluster, "shard", "reset", "1", "--to-offset", "9999", *replica, code=1)
    assert forward.stderr.splitlines() == [forward.stderr.strip()]
    assert f"offset 9999 of {cluster.topology.items_topic}/1 lies beyond {ends[1]}" in (
        forward.stderr
    )
    assert "kae dead-letters list" in forward.stderr
    gone = kae(cluster, "shard", "reset", "2", "--to-offset", "39", *replica, code=1)
    assert gone.stderr.splitlines() == [gone.stderr.strip()]
    assert "the topic begins at 40. Give --to-earliest" in gone.stderr
    assert "has shards 0 to 7" in kae(cluster, "shard", "pause", "8", "--yes", code=1).stderr

    # The same from somebody whose knowledge is old, beside requests that are none of this line's.
    generation = cluster.topology.generation
    put_on_control(
        cluster,
        b"\xc1 no record",
        records.encode_control_record([9, generation, 1]),
        records.encode_control_record(records.Pause(generation + 1, 1, "a newer line", "", 0)),
        records.encode_control_record(records.Reset(generation, 1, "somebody", "", 0, 9999)),
        records.encode_control_record(records.Reset(generation, 2, "somebody", "", 0, 39)),
    )
    lasts = wait_for(lambda: refused(cluster, 1, 2), "the owner's answers")
    assert "lies beyond" in lasts[0]["answer"]["cause"]
    assert "the topic begins at 40" in lasts[1]["answer"]["cause"]
    passed_over = list(cluster.workers["one"].events("control_record_passed_over"))
    assert len(passed_over) == 2
    assert not any(one["paused"] for one in standing(cluster).values())
    assert answered(asking(cluster, "reset", "2", "--to-earliest", "--yes")) == [(2, "done")]
    wait_for(lambda: next_offsets(cluster) == ends, "the rest to be read again")
    assert jumps(cluster) == {2: [(ends[2], 40)]}
    cluster.check()
    prove_read_again(cluster, ledger, tmp_path)


def test_a_pause_that_nobody_could_hear_is_known_before_the_first_item(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], tmp_path: Path
) -> None:
    ledger.publish([*TERMS, *upserts(catalog[:600])])
    unheard = ("shard", "pause", "0", "7", "--yes", "--timeout", "0.5")
    told_so = kae(cluster, *unheard, code=1).stderr
    assert "no answer in 0.5 s" in told_so
    assert "0: nobody yet, 7: nobody yet" in told_so
    cluster.start_replica("replica", wait=False)
    worker = cluster.start_worker("one", wait=False)
    cluster.wait_ready()
    rest = ledger.ends() | {0: 0, 7: 0}
    wait_for(lambda: next_offsets(cluster) == rest, "the other shards")
    assert standing(cluster)[0]["counts"]["read"] == 0
    worker.terminate()
    cluster.start_worker("one")
    shard(cluster, "resume", "0", "7", "--yes")
    prove(cluster, ledger, tmp_path)


class TestStalling:
    STALL_SECONDS = 3.0

    @pytest.fixture
    def pace(self, pace: dict[str, object]) -> dict[str, object]:
        stall, late = self.STALL_SECONDS, self.STALL_SECONDS
        return {**pace, "worker.stall_seconds": stall, "limits.lag_seconds": late}

    def test_a_paused_shard_is_taken_neither_for_a_stalled_one_nor_for_one_out_of_bounds(
        self, cluster: Cluster, ledger: Ledger, catalog: list[Item], tmp_path: Path
    ) -> None:
        replica = cluster.start_replica("replica", wait=False)
        worker = cluster.start_worker("one", wait=False)
        cluster.wait_ready()
        shard(cluster, "pause", *map(str, SHARDS), "--yes")
        ledger.publish(upserts(catalog[:400]))
        waits_until = time.monotonic() + 3 * self.STALL_SECONDS
        wait_for(lambda: time.monotonic() > waits_until, "a stall to be suspected, and found")
        cluster.check()
        assert list(worker.events("sought_back")) == []
        found = told(cluster, "status", "--check", "--replica", replica.url)
        assert all(one["paused"] and one["late"] for one in found["shards"])
        assert found["problems"] == []
        shown = kae(cluster, "status", "--replica", replica.url).stdout
        for state in ("paused", "late"):
            assert f"{state}: {', '.join(map(str, SHARDS))}" in shown
        shard(cluster, "resume", *map(str, SHARDS), "--yes")
        prove(cluster, ledger, tmp_path)


def put_on_control(cluster: Cluster, *payloads: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=cluster.topology.kafka.bootstrap)
    for payload in payloads:
        producer.send(cluster.topology.control_topic, payload, partition=0).get(timeout=30)
    producer.close()


def refused(cluster: Cluster, *numbers: int) -> list[dict[str, Any]] | None:
    """The last commands of these shards, once their owners have refused them."""
    shards = asking(cluster, "list")["shards"]
    lasts = [shards[number]["last"] for number in numbers]
    return lasts if all(one and one["answer"]["outcome"] == "refused" for one in lasts) else None


def stamped(cluster: Cluster, number: int, offset: int) -> str:
    """The time of a record of the items topic, as commands show it."""
    place = TopicPartition(cluster.topology.items_topic, number)
    consumer = KafkaConsumer(bootstrap_servers=cluster.topology.kafka.bootstrap, group_id=None)
    consumer.assign([place])
    consumer.seek(place, offset)
    record = wait_for(lambda: consumer.poll(500, max_records=1).get(place), "a record")[0]
    consumer.close()
    return datetime.fromtimestamp(record.timestamp / 1000, UTC).isoformat(timespec="milliseconds")
