"""What a replica answers over HTTP, all of it JSON except /metrics and the page.

    GET /search?q=&limit=   items for a query
    GET /items/{id}         how an item is indexed; ?revision=&within_ms=
    POST /preview?q=        what a kae.term.bind.v1 event would do, and what a query would find
                            then; nothing is changed
    GET /unknown-words?limit=  words of queries that neither the codebook nor a term has, the most
                            frequent first
    GET /preview/{term}?q=  the same as POST /preview, for a bind that waits for approval
    GET /bindings           what is bound, and which slots are free
    GET /receipts/{term}    how far a term has come; ?revision=&until=&within_ms=
    GET /status?hash=1      versions, positions, accounting; content hashes if asked for;
                            ?generation= of another generation that is followed
    GET /generations?hash=1 every generation that is followed, and which one serves
    GET /livez /readyz      the process answers; the view is fresh
    GET /metrics            for Prometheus (docs/metrics.md)
    GET /                   the page

Every answer except that of /generations is from one view of one generation.

With a `revision`, /items and /receipts wait, `within_ms` at most: until the item has this revision
or a higher one; until the term at this revision is `decodable`, or has reached the stage that
`until` names. When the time is over they answer what is true then.

A bad request is 400, one that is too large 413, an unknown item or term 404, not ready 503; `error`
says why.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from kae.streams.events.envelope import Undecodable
from kae.streams.events.terms import subject_key
from kae.streams.replica.explain import describe_bindings, describe_item
from kae.streams.replica.follower import POSTINGS_PENDING
from kae.streams.replica.generation import GenerationReplica, Serving
from kae.streams.replica.http_requests import (
    RequestRefused,
    item_id,
    query_text,
    read_body,
    whole_number,
)
from kae.streams.replica.notifier import ViewNotifier, wait_until
from kae.streams.replica.receipts import has_reached, receipt_of
from kae.streams.replica.status import describe_generations, describe_status
from kae.streams.replica_api.answers import Problem, UnknownWordsShown
from kae.streams.replica_api.terms import Receipt
from kae.streams.telemetry import metrics
from kae.streams.telemetry.registry import CONTENT_TYPE, MetricRegistry

log = structlog.get_logger()
LIMIT, MOST = 10, 1000
UNKNOWN_LIMIT = 100
MOST_MS = 60_000
MOST_REVISION = 2**63 - 1
MOST_GENERATION = 2**31 - 1
PAGE = Path(__file__).parent / "page"
PAGE_FILES = {
    "/": "index.html",
    "/page.css": "page.css",
    "/page.js": "page.js",
    "/page.svg": "page.svg",
}


class ReplicaHttp:
    """One method for each route; they run on the server's threads, each with one view."""

    def __init__(self, name: str, serving: Serving, registry: MetricRegistry) -> None:
        self._name = name
        self._serving = serving
        self._registry = registry

    def search(self, request: Request) -> Response:
        text = query_text(request, required=True)
        limit = whole_number(request, "limit", LIMIT, MOST)
        began = time.perf_counter()
        current = self._current_with_postings("search")
        found = current.search.answer(current.view(), text, limit)
        unknown = current.unknown_words.count(text, found.query.unknown)
        self._registry.count(metrics.REPLICA_UNKNOWN_WORDS, by=unknown)
        answer = _json(found)
        self._registry.observe(metrics.REPLICA_SEARCH, time.perf_counter() - began)
        self._registry.observe(metrics.REPLICA_DECODE, found.decoded_ms / 1000)
        return answer

    def unknown_words(self, request: Request) -> Response:
        limit = whole_number(request, "limit", UNKNOWN_LIMIT, MOST)
        current = self._serving.current
        unknown = current.unknown_words
        return _json(
            UnknownWordsShown(
                current.generation,
                unknown.since_ms,
                unknown.requests,
                unknown.least_requests,
                unknown.most_asked(limit),
            )
        )

    def item(self, request: Request) -> Response:
        wanted = item_id(request)
        current = self._serving.current
        item = describe_item(current.codebook, current.index, current.view(), wanted)
        if item is None:
            raise RequestRefused(404, f"item {wanted!r}: no live item has this id")
        return _json(item)

    def preview(self, request: Request) -> Response:
        current, query = self._current_with_postings("preview"), query_text(request)
        try:
            return _json(current.previewer.preview(current.view(), request.state.body, query))
        except Undecodable as error:
            raise RequestRefused(400, f"event: {error}") from error

    def preview_proposed(self, request: Request) -> Response:
        current, query = self._current_with_postings("preview"), query_text(request)
        term = subject_key(request.path_params["term"])
        preview = current.previewer.preview_proposed(current.view(), term, query)
        if preview is None:
            raise RequestRefused(404, f"term {term!r}: no bind of it waits for approval")
        return _json(preview)

    def body_bytes(self) -> int:
        """The most that the body of a request may have."""
        return self._serving.current.previewer.event_bytes

    def bindings(self, _request: Request) -> Response:
        current = self._serving.current
        return _json(describe_bindings(current.codebook, current.view()))

    def receipt(self, request: Request) -> Response:
        term = subject_key(request.path_params["term"])
        receipt = self._receipt(term)
        if receipt is None:
            raise RequestRefused(404, f"term {term!r}: no term event of it has been registered")
        return _json(receipt)

    # What a request waits for; checked on the event loop at each notification.

    def has_item(self, request: Request) -> bool:
        revision = whole_number(request, "revision", 0, MOST_REVISION)
        found = self._serving.current.view().live_item(request.path_params["id"])
        return found is not None and found.revision >= revision

    def has_term(self, request: Request) -> bool:
        revision = whole_number(request, "revision", 0, MOST_REVISION)
        term = subject_key(request.path_params["term"])
        until = request.query_params.get("until", "decodable")
        return has_reached(self._receipt(term), revision, until)

    def status(self, request: Request) -> Response:
        hashed = whole_number(request, "hash", 0, 1) == 1
        replica = self._replica_of(whole_number(request, "generation", 0, MOST_GENERATION))
        return _json(describe_status(self._name, replica, hashed=hashed))

    def generations(self, request: Request) -> Response:
        hashed = whole_number(request, "hash", 0, 1) == 1
        return _json(describe_generations(self._name, self._serving, hashed=hashed))

    def livez(self, _request: Request) -> Response:
        return _json({"live": True})

    def readyz(self, _request: Request) -> Response:
        freshness = self._serving.current.gauge.reading(time.monotonic())
        return _json(freshness, 200 if freshness.ready else 503)

    def metrics(self, _request: Request) -> Response:
        return Response(self._registry.text(), media_type=CONTENT_TYPE)

    def _current_with_postings(self, route: str) -> GenerationReplica:
        current = self._serving.current
        if not current.index.postings_ready:
            raise RequestRefused(503, f"{route}: {POSTINGS_PENDING}; ask again, or another replica")
        return current

    def _replica_of(self, generation: int) -> GenerationReplica:
        """The replica of a generation; 0 is the one that answers."""
        serving = self._serving
        replica = serving.replicas.get(generation) if generation else serving.current
        if replica is None:
            followed = ", ".join(map(str, serving.replicas))
            raise RequestRefused(404, f"generation {generation}: not followed here; {followed} are")
        return replica

    def _receipt(self, term: str) -> Receipt | None:
        current = self._serving.current
        view, progress = current.view(), current.index.term_progress
        return receipt_of(term, view, progress, current.live_leases())


Answer = Callable[[Request], Response]
Condition = Callable[[Request], bool]


def build_app(answers: ReplicaHttp, registry: MetricRegistry, notifier: ViewNotifier) -> Starlette:
    """The routes; each request is counted with the status of its answer."""

    def route(
        path: str, answer: Answer, condition: Condition | None = None, method: str = "GET"
    ) -> Route:
        def answered(request: Request) -> Response:
            try:
                return answer(request)
            except RequestRefused as refused:
                return _json(Problem(refused.error), refused.status)

        async def counted(request: Request) -> Response:
            try:
                if condition is not None and "revision" in request.query_params:
                    seconds = whole_number(request, "within_ms", 0, MOST_MS) / 1000
                    await wait_until(notifier, seconds, partial(condition, request))
                if method == "POST":
                    request.state.body = await read_body(request, answers.body_bytes())
                response = await run_in_threadpool(answered, request)
            except RequestRefused as refused:
                response = _json(Problem(refused.error), refused.status)
            registry.count(metrics.REPLICA_REQUESTS, path, str(response.status_code))
            return response

        return Route(path, counted, methods=[method])

    return Starlette(
        routes=[
            route("/search", answers.search),
            route("/items/{id:path}", answers.item, answers.has_item),
            route("/preview", answers.preview, method="POST"),
            route("/unknown-words", answers.unknown_words),
            route("/preview/{term:path}", answers.preview_proposed),
            route("/bindings", answers.bindings),
            route("/receipts/{term:path}", answers.receipt, answers.has_term),
            route("/status", answers.status),
            route("/generations", answers.generations),
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
