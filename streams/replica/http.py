"""The replica's HTTP face. Every answer is JSON but for /metrics and the page.

    GET /search?q=&limit=   items for a query
    GET /items/{id}         how an item is indexed
    GET /bindings           what is bound, and what is left
    GET /receipts/{term}    how far a term has come
    GET /status?hash=1      versions, positions, accounting; content hashes when asked for
    GET /livez /readyz      the process answers; the view is fresh
    GET /metrics            for Prometheus (metrics.py)
    GET /                   the page

A bad request is 400, an unknown item or term 404, not ready 503; each says why in `error`.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from kae.encoders.codebook import Codebook
from kae.encoders.text import normalise
from kae.streams.replica.answers import Problem
from kae.streams.replica.explain import explain_item, show_bindings
from kae.streams.replica.follower import now_ms
from kae.streams.replica.freshness import FreshnessGauge
from kae.streams.replica.index import ReplicaIndex
from kae.streams.replica.leases import Leases
from kae.streams.replica.metrics import Metrics
from kae.streams.replica.receipts import receipt_of
from kae.streams.replica.search import Search
from kae.streams.replica.status import show_status

log = structlog.get_logger()

QUERY_CHARACTERS = 1000
ID_CHARACTERS = 256
LIMIT, MOST = 10, 1000
PAGE = Path(__file__).resolve().parents[1] / "page"
PAGE_FILES = {
    "/": "index.html",
    "/page.css": "page.css",
    "/page.js": "page.js",
    "/page.svg": "page.svg",
}


class Refused(Exception):
    """A request that gets a problem for an answer."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


class Answers:
    """One method a route; they run on the server's threads and take one view each."""

    def __init__(
        self,
        name: str,
        codebook: Codebook,
        beam: int,
        index: ReplicaIndex,
        leases: Leases,
        gauge: FreshnessGauge,
        metrics: Metrics,
    ) -> None:
        self._name = name
        self._codebook = codebook
        self._index = index
        self._leases = leases
        self._gauge = gauge
        self._metrics = metrics
        self._search = Search(codebook, beam)

    def search(self, request: Request) -> Response:
        text = request.query_params.get("q", "")
        if not text.strip():
            raise Refused(400, "q: missing; ask /search?q=WORDS")
        if len(text) > QUERY_CHARACTERS:
            raise Refused(400, f"q: {len(text)} characters, at most {QUERY_CHARACTERS}")
        limit = _whole_number(request, "limit", LIMIT, MOST)
        with self._metrics.search.time():
            return _json(self._search.answer(self._index.view, text, limit))

    def item(self, request: Request) -> Response:
        item_id = request.path_params["id"]
        if len(item_id) > ID_CHARACTERS:
            raise Refused(400, f"id: {len(item_id)} characters, at most {ID_CHARACTERS}")
        shown = explain_item(self._codebook, self._index, self._index.view, item_id)
        if shown is None:
            raise Refused(404, f"item {item_id!r}: no live item has this id")
        return _json(shown)

    def bindings(self, _request: Request) -> Response:
        return _json(show_bindings(self._codebook, self._index.view))

    def receipt(self, request: Request) -> Response:
        term = normalise(request.path_params["term"])
        live = self._leases.live(now_ms())
        receipt = receipt_of(term, self._index.view, self._index.journal, live)
        if receipt is None:
            raise Refused(404, f"term {term!r}: no term event of it has been registered")
        return _json(receipt)

    def status(self, request: Request) -> Response:
        hashed = _whole_number(request, "hash", 0, 1) == 1
        freshness = self._gauge.reading(time.monotonic())
        return _json(show_status(self._name, self._index, self._leases, freshness, hashed=hashed))

    def livez(self, _request: Request) -> Response:
        return _json({"live": True})

    def readyz(self, _request: Request) -> Response:
        freshness = self._gauge.reading(time.monotonic())
        return _json(freshness, 200 if freshness.ready else 503)

    def metrics(self, _request: Request) -> Response:
        freshness = self._gauge.reading(time.monotonic())
        return Response(self._metrics.text(freshness), media_type="text/plain; version=0.0.4")


Answer = Callable[[Request], Response]


def build_app(answers: Answers, metrics: Metrics) -> Starlette:
    """The routes; each is counted with the status that it answered."""

    def route(path: str, answer: Answer) -> Route:
        def counted(request: Request) -> Response:
            try:
                response = answer(request)
            except Refused as refused:
                response = _json(Problem(refused.error), refused.status)
            metrics.note_request(path, response.status_code)
            return response

        return Route(path, counted)

    return Starlette(
        routes=[
            route("/search", answers.search),
            route("/items/{id:path}", answers.item),
            route("/bindings", answers.bindings),
            route("/receipts/{term:path}", answers.receipt),
            route("/status", answers.status),
            route("/livez", answers.livez),
            route("/readyz", answers.readyz),
            route("/metrics", answers.metrics),
            *(route(path, partial(_file, name)) for path, name in PAGE_FILES.items()),
        ],
        exception_handlers={HTTPException: _unrouted, Exception: _failed},
    )


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _file(name: str, _request: Request) -> Response:
    # Nothing from elsewhere: neither scripts nor styles nor fonts.
    return FileResponse(PAGE / name, headers={"Content-Security-Policy": "default-src 'self'"})


def _unrouted(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return _json(Problem(f"{request.method} {request.url.path}: no such address"), status)


def _failed(_request: Request, error: Exception) -> Response:
    log.error("answer_failed", exc_info=error)
    return _json(Problem("the replica failed to answer; its log says why"), 500)


def _whole_number(request: Request, name: str, default: int, most: int) -> int:
    given = request.query_params.get(name)
    if given is None:
        return default
    least = min(default, 1)
    if not (given.isascii() and given.isdigit() and least <= int(given[:9]) <= most):
        raise Refused(400, f"{name}: {given[:40]!r} is no whole number from {least} to {most}")
    return int(given)
