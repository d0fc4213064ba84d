"""What a replica answers over HTTP, from a view of real deltas."""

import asyncio
import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from tests.streams.followed import NAME, Followed

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.items import Item
from kae.sinks.log.edits import Propose
from kae.sinks.log.term_changes import Bind
from kae.streams.control.state import GenerationState
from kae.streams.events.term_data import BindData, SelectorData
from kae.streams.events.terms import decode_term, encode_term, rules_of
from kae.streams.replica.generation import GenerationReplica, Serving
from kae.streams.replica.http import ReplicaHttp, build_app
from kae.streams.replica.preview import Previewer
from kae.streams.replica.readings import ReplicaReadings, observe_view
from kae.streams.replica.unknown_words import UnknownWords
from kae.streams.telemetry.metrics import METRICS
from kae.streams.telemetry.registry import MetricRegistry


class HttpClient:
    """Asks the application itself, without a socket."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    def get(self, path: str, params: Mapping[str, str] | None = None) -> httpx.Response:
        return self._ask("GET", path, params=params)

    def post(self, path: str, body: bytes) -> httpx.Response:
        return self._ask("POST", path, content=body)

    def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://kae") as client:
                return await client.request(method, path, **request)

        return asyncio.run(ask())


@pytest.fixture
def http(followed: Followed, catalog: list[Item]) -> HttpClient:
    followed.now = time.time_ns() // 1_000_000
    followed.put(catalog[:300])
    followed.bind("quietcore", where='brand = "hp"')
    followed.spread_all()
    followed.follow()
    meters = MetricRegistry("replica")
    observe_view(meters, followed.index.view, caught_up=True)
    readings = ReplicaReadings(NAME, followed.index, followed.gauge)
    meters.collect_from(lambda: readings.samples(time.monotonic()))
    served = GenerationReplica(
        1,
        followed.codebook,
        followed.index,
        followed.leases,
        followed.gauge,
        followed.searching,
        Previewer(followed.codebook, followed.topology, followed.searching),
        UnknownWords(least_requests=3),
    )
    answers = ReplicaHttp(NAME, Serving(served, GenerationState(1)), meters)
    return HttpClient(build_app(answers, meters, followed.notifier))


def test_every_answer_names_the_one_view_it_was_made_from(
    http: HttpClient, followed: Followed
) -> None:
    view = followed.index.view
    expected = {"generation": 1, "view": view.number, "bindings": 1, "shards": list(view.versions)}
    some_id = http.get("/search", params={"q": "quietcore"}).json()["items"][0]["id"]
    for path in (
        "/search?q=quietcore",
        f"/items/{some_id}",
        "/bindings",
        "/receipts/quietcore",
        "/status",
        "/status?generation=1",
    ):
        assert http.get(path).json()["version"] == expected, path


def test_a_search_is_refused_until_the_words_are_read(http: HttpClient, followed: Followed) -> None:
    followed.index.postings_ready = False
    refused = http.get("/search", params={"q": "toner"})
    assert refused.status_code == 503
    assert "words of its items are still being read" in refused.json()["error"]
    followed.index.postings_ready = True
    assert http.get("/search", params={"q": "toner"}).is_success


def test_a_search_says_how_it_was_understood(http: HttpClient) -> None:
    found = http.get("/search", params={"q": "QuietCore hp", "limit": "3"}).json()
    assert found["query"]["terms"] == ["quietcore"]
    assert [slot["word"] for slot in found["query"]["slots"][:2]] == ["quietcore", "hp"]
    assert len(found["items"]) == 3
    assert found["items"][0]["via"] == "quietcore"
    assert len(found["items"][0]["identifier"]) == 6


@pytest.mark.parametrize(
    ("path", "status", "cause"),
    [
        ("/search", 400, "q: missing"),
        ("/search?q=%20", 400, "q: missing"),
        ("/search?q=" + "x" * 1001, 400, "q: 1001 characters, at most 1000"),
        ("/search?q=a&limit=0", 400, "limit: '0' is no whole number from 1 to 1000"),
        ("/search?q=a&limit=1001", 400, "limit: '1001'"),
        ("/search?q=a&limit=ten", 400, "limit: 'ten'"),
        ("/search?q=a&limit=%C2%B2", 400, "limit: '²'"),
        ("/status?hash=2", 400, "hash: '2' is no whole number from 0 to 1"),
        ("/status?generation=2", 404, "generation 2: not followed here; 1 are"),
        ("/items/" + "x" * 257, 400, "id: 257 characters"),
        ("/items/a?revision=1&within_ms=soon", 400, "within_ms: 'soon' is no whole number"),
        ("/receipts/a?revision=first", 400, "revision: 'first' is no whole number"),
        ("/items/nobody", 404, "item 'nobody': no live item has this id"),
        ("/receipts/Nobody", 404, "term 'nobody'"),
        ("/nothing", 404, "no such address"),
    ],
)
def test_a_bad_request_is_told_why(http: HttpClient, path: str, status: int, cause: str) -> None:
    answer = http.get(path)
    assert answer.status_code == status
    assert cause in answer.json()["error"]


def test_an_item_shows_every_path_with_its_term(http: HttpClient, followed: Followed) -> None:
    hit = http.get("/search", params={"q": "quietcore"}).json()["items"][0]
    item = http.get(f"/items/{hit['id']}").json()
    assert [path["term"] for path in item["paths"]] == [None, "quietcore"]
    assert item["paths"][0]["words"] == item["identifier"] == hit["identifier"]
    assert item["paths"][1]["words"] == hit["path"]
    assert {attribute["source"] for attribute in item["attributes"]} <= {"field", "dictionary"}
    assert item["put"] == {"version": 1, "offset": 1}
    assert item["paths"][1]["attached"] == {"version": 2, "offset": 2}


def test_an_answer_waits_until_a_view_has_the_revision(
    http: HttpClient, followed: Followed, catalog: list[Item]
) -> None:
    path = f"/items/{catalog[0].id}"
    known = http.get(path).json()["revision"]
    assert http.get(path, {"revision": str(known), "within_ms": "30000"}).json() == (
        http.get(path).json()
    )
    behind = http.get(path, {"revision": str(known + 10**12), "within_ms": "20"}).json()
    assert behind["revision"] == known
    with ThreadPoolExecutor(2) as pool:
        wanted = {"revision": str(known + 1), "within_ms": "30000"}
        item = pool.submit(http.get, path, wanted)
        term = pool.submit(http.get, "/receipts/glimmer", {"revision": "1", "within_ms": "30000"})
        followed.put(catalog[:1])
        followed.bind("glimmer", where='brand = "hp"')
        followed.spread_all()
        followed.follow()
        assert item.result().json()["revision"] > known
        assert all(stage["done"] for stage in term.result().json()["stages"])


def test_a_preview_is_of_the_event_that_a_bind_would_send(
    http: HttpClient, followed: Followed
) -> None:
    data = BindData(1, SelectorData(where='brand = "hp"'), category="brand")
    event = encode_term("glimmer", data, "/test")
    told = http.post("/preview", event).json()
    assert told["version"] == http.get("/bindings").json()["version"]
    assert told["items"] == http.get("/receipts/quietcore").json()["attached_items"]
    assert told["size"]["event_bytes"] == len(event)
    assert http.get("/receipts/glimmer").status_code == 404


def test_what_waits_for_approval_is_previewed_as_it_would_be_now(
    http: HttpClient, followed: Followed
) -> None:
    data = BindData(1, SelectorData(where='brand = "hp"'), category="brand", by="ann")
    event = encode_term("glimmer", data, "/test")
    rules = rules_of(followed.topology, followed.codebook.position_of)
    change = decode_term(None, event, len(event), followed.now, rules)
    assert isinstance(change, Bind)
    assert http.get("/preview/glimmer").status_code == 404
    followed.index.view.bindings.edit(Propose("glimmer", 1, change), 2, followed.now)
    asked, waiting = http.post("/preview", event).json(), http.get("/preview/Glimmer").json()
    assert [one["kind"] for one in asked["collisions"]] == ["proposed"]
    assert (waiting["collisions"], waiting["refused"]) == ([], None)
    assert waiting["plan"] == asked["plan"]


def test_a_preview_refuses_what_is_no_bind_and_what_is_too_large(
    http: HttpClient, followed: Followed
) -> None:
    refused = http.post("/preview", b"{}")
    assert (refused.status_code, refused.json()["error"][:7]) == (400, "event: ")
    large = http.post("/preview", b" " * (followed.topology.limits.event_bytes + 1))
    assert (large.status_code, "limits.event_bytes" in large.json()["error"]) == (413, True)
    assert http.get("/preview").status_code == 405
    followed.index.postings_ready = False
    assert http.post("/preview", b"{}").status_code == 503


def test_bindings_show_what_is_left_at_each_position(http: HttpClient, followed: Followed) -> None:
    shown = http.get("/bindings").json()
    assert [b["term"] for b in shown["active"]] == ["quietcore"]
    position = followed.codebook.position_of(CATEGORY_INDEX["entity"])
    its = shown["capacity"].pop(position)
    assert (its["bound"], its["free"]) == (1, its["reserved"] - 1)
    assert all(other["free"] == other["reserved"] for other in shown["capacity"])
    followed.release("quietcore")
    followed.follow()
    later = http.get("/bindings").json()
    assert (later["active"], len(later["quarantined"])) == ([], 1)
    assert later["capacity"][position]["quarantined"] == 1


def test_the_status_hashes_the_view_when_asked_to(http: HttpClient, followed: Followed) -> None:
    assert {shard["hash"] for shard in http.get("/status").json()["shards"]} == {None}
    shards = http.get("/status?hash=1").json()["shards"]
    assert [s["hash"] for s in shards] == [s.store.content_hash() for s in followed.shards]
    assert sum(shard["counts"]["put"] for shard in shards) == 300


def test_a_replica_is_ready_while_its_view_is_fresh(http: HttpClient, followed: Followed) -> None:
    assert http.get("/livez").status_code == 200
    never = http.get("/readyz")
    assert never.status_code == 503
    assert "not been read to their ends" in never.json()["reasons"][0]
    followed.gauge.set_ends(time.monotonic(), {"deltas/0": 2})
    followed.gauge.update({"deltas/0": 2})
    assert http.get("/readyz").status_code == 200
    followed.gauge.set_ends(time.monotonic() - 60, {"deltas/0": 2})
    followed.gauge.update({"deltas/0": 2})
    stale = http.get("/readyz")
    assert stale.status_code == 503
    assert "fresh_within_seconds is 5" in stale.json()["reasons"][0]


def test_the_page_needs_nothing_from_elsewhere(http: HttpClient) -> None:
    page = http.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"] == "default-src 'self'"
    texts = [http.get(f"/{name}").text for name in ("", "page.css", "page.js")]
    assert all("http://" not in text and "https://" not in text for text in texts)


def test_a_replica_tells_every_metric_of_the_list_and_no_other(http: HttpClient) -> None:
    http.get("/search?q=quietcore")
    text = http.get("/metrics").text
    told = {
        followed.split()[2] for followed in text.splitlines() if followed.startswith("# TYPE kae_")
    }
    assert told == {metric.name for metric in METRICS if metric.process == "replica"}
    assert 'kae_replica_requests_total{route="/search",status="200"} 1.0' in text
    assert "kae_replica_search_seconds_count 1.0" in text
    put = re.findall(r'kae_replica_shard_events_total{outcome="put",shard="\d"} (\S+)', text)
    assert sum(map(float, put)) == 300


def test_the_generations_that_are_followed_are_told_with_what_their_terms_reach(
    http: HttpClient,
) -> None:
    shown = http.get("/generations", params={"hash": "1"}).json()
    assert (shown["serving"], shown["wanted"], shown["cutover"]) == (1, 1, None)
    (one,) = shown["generations"]
    assert one["status"]["shards"] == http.get("/status?hash=1").json()["shards"]
    (term,) = one["terms"]
    attached = http.get("/receipts/quietcore").json()["attached_items"]
    assert (term["term"], term["attached_items"], term["decodable"]) == (
        "quietcore",
        attached,
        True,
    )
    assert (term["promoted"], term["own_items"]) == (False, 0)


def test_words_that_nothing_knows_are_told_once_enough_requests_asked_for_them(
    http: HttpClient,
) -> None:
    def ask(query: str) -> list[str]:
        unknown: list[str] = http.get("/search", params={"q": query}).json()["query"]["unknown"]
        return unknown

    assert ask("glowfish quietcore the toner glowfish") == ["glowfish"]
    for _ in range(2):
        assert ask("a moonbeam for the toner") == ["moonbeam"]
    private = "mary.sue@shop.example +49-171-555 www.marysue.example x9zq marysue:secret7"
    for _ in range(3):
        assert "sue" in ask(private)
    told = http.get("/unknown-words").json()
    assert (told["requests"], told["least_requests"], told["words"]) == (6, 3, [])
    for _ in range(2):
        ask("glowfish")
    ask("moonbeam lamp glowfish")
    told = http.get("/unknown-words").json()
    assert [(one["word"], one["requests"], one["at_most"]) for one in told["words"]] == [
        ("glowfish", 4, 4),
        ("moonbeam", 3, 3),
    ]
    assert len(http.get("/unknown-words", params={"limit": "1"}).json()["words"]) == 1
    assert http.get("/unknown-words", params={"limit": "0"}).status_code == 400
    assert "\nkae_replica_unknown_words_total 7.0\n" in http.get("/metrics").text


def test_where_no_unknown_word_is_to_be_counted_none_is() -> None:
    words = UnknownWords(least_requests=0)
    assert words.count("glowfish", ["glowfish"]) == 0
    assert (words.requests, words.most_asked(10)) == (0, [])
