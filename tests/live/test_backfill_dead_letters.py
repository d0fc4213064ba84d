"""Rows that a backfill refuses: dead letters that are repaired and sent again like any other."""

import json
from pathlib import Path

import pytest
from tests.live.asking import told
from tests.live.ledger import Ledger
from tests.live.test_backfill_cut_short import plan, run

from kae.deploy.cluster import Cluster


@pytest.fixture
def pace(pace: dict[str, object], tmp_path: Path) -> dict[str, object]:
    return {**pace, "snapshots.url": str(tmp_path / "archive"), "catalog.revision": "revision"}


def test_a_refused_row_is_a_dead_letter_that_is_repaired_and_sent_as_an_item(
    cluster: Cluster, ledger: Ledger, tmp_path: Path
) -> None:
    feed = tmp_path / "feed.jsonl"
    rows = [
        {"id": "good", "title": "a black cable", "revision": 1},
        {"id": "vague", "title": "a white cable", "revision": "soon"},
        {"id": "long", "title": "cable " * 20_000, "revision": 2},
    ]
    feed.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"id": \n')
    second = cluster.topology.edited({"generation": 2})
    report = run(second, plan(tmp_path / "work", feed))
    assert (report.items, report.refused) == (1, 3)
    assert run(second, plan(tmp_path / "work", feed)).refused == 3  # again, and no letter more
    letters = {one["offset"]: one for one in told(cluster, "dead-letters", "list")["letters"]}
    assert {row: one["kind"] for row, one in letters.items()} == {
        2: "row.invalid",
        3: "data.title.length",
        4: "row.invalid",
    }
    assert {one["topic"] for one in letters.values()} == {f"feed:{feed}"}
    assert "revision is 'soon'" in letters[2]["cause"]
    vague, long = (letters[row]["letter"] for row in (2, 3))
    event = told(cluster, "dead-letters", "show", long)["event"]
    assert told(cluster, "dead-letters", "show", vague)["event"] == rows[1]

    event["data"]["title"] = "a long cable"
    repaired = tmp_path / "event.json"
    repaired.write_text(json.dumps(event))
    sent = told(cluster, "dead-letters", "replay", long, "--with", str(repaired), "--yes")
    assert (sent["sent"], sent["steps"][0]["to"]) == (
        1,
        f"{second.items_topic}/{ledger.home('long')}",
    )
    (lying,) = ledger.note_others()
    assert lying.key == b"long"
    assert lying.value == repaired.read_bytes()
    left = told(cluster, "dead-letters", "list")["letters"]
    assert {one["offset"] for one in left} == {2, 4}
    foreseen = told(cluster, "dead-letters", "replay", vague, "--dry-run")
    assert foreseen["steps"][0]["dies_of"] is not None
