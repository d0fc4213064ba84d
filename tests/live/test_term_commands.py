"""The life of a term as operations give it on the command line, with four eyes."""

import json
import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.fetching import fetch
from tests.live.asking import kae, told
from tests.live.killer import wait_for
from tests.live.ledger import Ledger, upserts

from kae.deploy.cluster import Cluster
from kae.encoders.items import Item
from kae.streams.clock import now_ms, rfc3339
from kae.streams.replica_api.answers import BindingsShown, Hit
from kae.streams.replica_api.client import ReplicaClient

pytestmark = pytest.mark.long


@pytest.fixture
def pace(pace: dict[str, object]) -> dict[str, object]:
    return {
        **pace,
        "terms.approvals": 1,
        "terms.required": ["owner", "reason"],
        "terms.default_days": 30,
    }


def bindings(cluster: Cluster) -> BindingsShown:
    answer = fetch(f"{cluster.replica.url}/bindings")
    return msgspec.json.decode(answer.raise_for_status().content, type=BindingsShown)


def search(cluster: Cluster, query: str) -> list[Hit]:
    client = ReplicaClient(cluster.replica.url)
    try:
        return client.search(query, 1000)
    finally:
        client.close()


def refusals(cluster: Cluster, term: str) -> str:
    """Why the registrar refused a term; empty if it did not."""
    url = f"{cluster.replica.url}/receipts/{term}"
    refused = fetch(url).json().get("refused")
    return refused["cause"] if refused else ""


@pytest.mark.timeout(400)
def test_a_term_is_proposed_approved_extended_and_rolled_back(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], tmp_path: Path
) -> None:
    cluster.start_worker("one", wait=False)
    cluster.start_replica("replica", wait=False)
    cluster.wait_ready()
    ledger.publish(upserts(catalog[:300]))
    at = ("--replica", cluster.replica.url)
    why = ("--owner", "search", "--reason", "spring")

    def term(*arguments: str, code: int = 0) -> Any:
        return told(cluster, "term", *arguments, *at, code=code)

    bind = ("bind", "quietcore", "--where", 'brand = "hp"', "--by", "ann")
    assert "data.owner: missing" in kae(cluster, "term", *bind, *at, code=1).stderr
    preview = term("preview", *bind[1:], *why)
    plan, items = preview["previewed"]["plan"]["hash"], preview["previewed"]["items"]
    assert (preview["chosen"]["by"], preview["previewed"]["awaits_approval"]) == ("tagger", True)
    text = kae(cluster, "term", "preview", *bind[1:], *why, "--query", "quietcore", *at).stdout
    assert "256 of 256 free, takes 1" in text
    assert text.splitlines()[-1].startswith("kae term bind quietcore --where 'brand = \"hp\"'")
    proposed = told(cluster, *shlex.split(preview["command"])[1:])
    assert proposed["state"] == "proposed"
    (waiting,) = term("proposals")
    assert (waiting["key"], waiting["by"], waiting["plan_items"]) == ("quietcore", "ann", items)
    refused = kae(cluster, "term", "approve", "quietcore", "--by", "ann", *at, code=1).stderr
    assert "another than who proposed it must approve it" in refused
    stale = ("--by", "ben", "--plan", "h2", "--items-planned", str(2 * items))
    refused = kae(cluster, "term", "approve", "quietcore", *stale, *at, code=1).stderr
    assert "terms.plan_tolerance_percent allows 10" in refused
    seen = term("preview-proposed", "quietcore")
    assert (seen["previewed"]["plan"]["hash"], seen["previewed"]["collisions"]) == (plan, [])
    term(*shlex.split(seen["command"])[2:], "--by", "ben")
    shown_now = bindings(cluster)
    (bound,) = shown_now.active
    assert bound.attached_items == items
    assert (bound.state, bound.approved_by, shown_now.proposals) == ("active", "ben", [])
    days = ((bound.until_ms or 0) - bound.accepted_ms) / 86_400_000
    assert days == pytest.approx(30, abs=0.01)

    receipt = term("extend", "quietcore", "--forever", "--by", "ann", "--wait", "active")
    assert receipt["proposed"] > receipt["revision"]
    assert receipt["until_ms"] == bound.until_ms
    assert [(one["key"], one["kind"]) for one in term("proposals")] == [("quietcore", "extend")]
    term("approve", "quietcore", "--by", "ben")
    assert bindings(cluster).active[0].until_ms is None
    before = now_ms()
    campaign = tmp_path / "spring.yaml"
    words = [{"word": f"word{n}", "selector": {"match": "black"}} for n in range(3)]
    campaign.write_text(json.dumps(words))
    told(cluster, "campaign", "bind", "spring", str(campaign), *why, "--by", "ann", *at)
    term("approve", "campaign/spring", "--by", "ben")
    wait_for(lambda: [b.state for b in bindings(cluster).active].count("active") == 4, "spring")
    term("release", "quietcore", "--by", "ann")
    at_then = ("term", "list", "--at", rfc3339(before))
    assert [one["term"] for one in told(cluster, *at_then)] == ["quietcore"]

    undone = told(cluster, "term", "rollback", "--all", "--to", rfc3339(before), "--by", "ann")
    assert [one["subject"] for one in undone["events"]] == ["spring", "quietcore"]
    term("approve", "quietcore", "--by", "ben")
    (back,) = bindings(cluster).active
    assert back.term == "quietcore"

    hits = search(cluster, "quietcore")
    last, gone = hits[-1].id, hits[0].id
    new = next(item.id for item in catalog[:300] if item.id not in {hit.id for hit in hits})
    for verb, item in (("add", new), ("exclude", gone), ("pin", last)):
        told(cluster, "term", verb, "quietcore", item, "--by", "ann", *at)
        term("approve", "quietcore", "--by", "ben")
    wait_for(lambda: search(cluster, "quietcore")[0].pinned, "the pinned item first")
    found = [hit.id for hit in search(cluster, "quietcore")]
    assert found[0] == last
    assert {*found} == {hit.id for hit in hits} - {gone} | {new}
    then = told(cluster, "item", "explain", gone, "--at", rfc3339(before))
    assert [(one["term"], one["state"]) for one in then["terms"]] == [("quietcore", "active")]
    assert then["terms"][0]["why"] == """its words hold brand = "hp\""""
    assert told(cluster, "item", "explain", gone, "--at", rfc3339(now_ms()))["terms"] == []
    (first,) = told(cluster, "item", "explain", last, "--at", rfc3339(now_ms()))["terms"]
    assert (first["state"], first["why"]) == ("active", "pinned, number 1")
    unknown = kae(cluster, "item", "explain", "nobody", "--at", rfc3339(now_ms()), code=1).stderr
    assert "had no event of it by" in unknown
    for _ in range(cluster.topology.replica.unknown_requests):
        search(cluster, "glowfish")
    (glowfish,) = told(cluster, "vocabulary", "unknown", *at)["words"]
    assert (glowfish["word"], glowfish["requests"]) == ("glowfish", 5)
    history = [one["what"] for one in told(cluster, "term", "history", "quietcore")]
    plan = ("--plan", "h3", "--items-planned", str(2 * items))
    term("bind", "glimmer", *bind[2:], *why, *plan)
    term("approve", "glimmer", "--by", "ben", *plan)
    wait_for(lambda: "glimmer" in refusals(cluster, "glimmer"), "glimmer is refused")
    assert f"planned with {2 * items} items (plan h3), it has {items} now" in refusals(
        cluster, "glimmer"
    )
    assert [b.term for b in bindings(cluster).active] == ["quietcore"]
    table = tmp_path / "words.csv"
    header = "word,where,category,owner,reason\n"
    table.write_text(header + 'glimmer,"brand = ""hp""",color,search,spring\nblax,brand,,,\n')
    refused = kae(cluster, "term", "import", str(table), *at, code=1).stderr
    assert "line 3: owner '': data.owner: missing" in refused
    assert "1 of 2 rows are wrong; correct them, nothing was sent" in refused
    table.write_text(header + 'glimmer,"brand = ""hp""",color,search,spring\n')
    (row,) = term("import", str(table), "--dry-run")["rows"]
    assert (row["line"], row["preview"]["items"], row["problems"]) == (2, items, [])
    assert term("proposals") == []
    assert term("import", str(table), "--by", "ann")["sent"] == ["glimmer"]
    term(
        "approve",
        "glimmer",
        "--by",
        "ben",
        "--plan",
        row["preview"]["plan"]["hash"],
        "--items-planned",
        str(items),
    )
    wait_for(lambda: bindings(cluster).active[-1].state == "active", "glimmer is active")
    assert history == [
        "proposed",
        "refused",
        "refused",
        "bound",
        "activated",
        "proposed",
        "changed",
        "released",
        "proposed",
        "bound",
        *["proposed", "bound", "replaced", "activated"] * 3,
    ]
