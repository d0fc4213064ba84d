"""The replica's HTTP face. Every answer is JSON but for /metrics and the page.

    GET /search?q=&limit=   items for a query
    GET /items/{id}         how an item is indexed; ?revision=&within_ms=
    POST /preview?q=        what a kae.term.bind.v1 event would do, and a query then find; it
                            changes nothing
    GET /unknown-words?limit=  words of queries that nothing knows, the most asked for first
    GET /preview/{term}?q=  the same for the bind of a term that waits for approval
    GET /bindings           what is bound, and what is left
    GET /receipts/{term}    how far a term has come; ?revision=&until=&within_ms=
    GET /status?hash=1      versions, positions, accounting; content hashes when asked for;
                            ?generation= of another one that is followed
    GET /generations?hash=1 every generation that is followed, and which one serves
    GET /livez /readyz      the process answers; the view is fresh
    GET /metrics            for Prometheus (docs/metrics.md)
    GET /                   the page

Every answer but that to /generations is of one generation and of one view of it.

Answers to /items and /receipts are waited for, `within_ms` at most, when a `revision` is given:
until the item has it or a higher one; until the term with it is `decodable`, or has come to another
stage that `until` names. What is true when the time is over is answered then.

A bad request is 400, one that is too large 413, an unknown item or term 404, not ready 503; each
says why in `error`.
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

from kae.streams.clock import now_ms
from kae.streams.events.envelope import Undecodable
from kae.streams.events.terms import subject_key
from kae.streams.replica.explain import explain_item, live_item, show_bindings
from kae.streams.replica.follower import UNHEARD
from kae.streams.replica.generation import GenerationReplica, Serving
from kae.streams.replica.notifier import ViewNotifier, wait_until
from kae.streams.replica.receipts import has_come, receipt_of
from kae.streams.replica.status import show_generations, show_status
from kae.streams.replica_api.answers import Problem, UnknownWordsShown
from kae.streams.replica_api.terms import Receipt
from kae.streams.telemetry import metrics
from kae.streams.telemetry.meters import TEXT, Meters

log = structlog.get_logger()
QUERY_CHARACTERS = 1000
ID_CHARACTERS = 256
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


class RequestRefused(Exception):
    """A request that gets a problem for an answer."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


class Answers:
    """One method a route; they run on the server's threads and take one line and view each."""

    def __init__(self, name: str, serving: Serving, meters: Meters) -> None:
        self._name = name
        self._serving = serving
        self._meters = meters

    def search(self, request: Request) -> Response:
        text = request.query_params.get("q", "")
        if not text.strip():
            raise RequestRefused(400, "q: missing; ask /search?q=WORDS")
        _refuse_long(text)
        limit = _whole_number(request, "limit", LIMIT, MOST)
        began = time.perf_counter()
        line = self._serving.line
        if not line.index.hears:
            raise RequestRefused(503, f"search: {UNHEARD}; ask again, or another replica")
        found = line.search.answer(line.view(), text, limit)
        self._meters.count(
            metrics.REPLICA_UNKNOWN_WORDS, by=line.unknown.note(text, found.query.unknown)
        )
        answer = _json(found)
        self._meters.observe(metrics.REPLICA_SEARCH, time.perf_counter() - began)
        self._meters.observe(metrics.REPLICA_DECODE, found.decoded_ms / 1000)
        return answer

    def unknown_words(self, request: Request) -> Response:
        limit = _whole_number(request, "limit", UNKNOWN_LIMIT, MOST)
        line = self._serving.line
        unknown = line.unknown
        return _json(
            UnknownWordsShown(
                line.generation,
                unknown.since_ms,
                unknown.requests,
                unknown.least_requests,
                unknown.most_asked(limit),
            )
        )

    def item(self, request: Request) -> Response:
        item_id = request.path_params["id"]
        if len(item_id) > ID_CHARACTERS:
            raise RequestRefused(400, f"id: {len(item_id)} characters, at most {ID_CHARACTERS}")
        line = self._serving.line
        shown = explain_item(line.codebook, line.index, line.view(), item_id)
        if shown is None:
            raise RequestRefused(404, f"item {item_id!r}: no live item has this id")
        return _json(shown)

    def preview(self, request: Request) -> Response:
        line, query = self._previewing(request)
        try:
            return _json(line.previews.answer(line.view(), request.state.body, query))
        except Undecodable as error:
            raise RequestRefused(400, f"event: {error}") from error

    def preview_proposed(self, request: Request) -> Response:
        line, query = self._previewing(request)
        term = subject_key(request.path_params["term"])
        previewed = line.previews.proposed(line.view(), term, query)
        if previewed is None:
            raise RequestRefused(404, f"term {term!r}: no bind of it waits for approval")
        return _json(previewed)

    def _previewing(self, request: Request) -> tuple[GenerationReplica, str]:
        """The line that previews, and the query to show beside."""
        line, query = self._serving.line, request.query_params.get("q", "")
        if not line.index.hears:
            raise RequestRefused(503, f"preview: {UNHEARD}; ask again, or another replica")
        _refuse_long(query)
        return line, query

    def most_bytes(self) -> int:
        """Of a request's body."""
        return self._serving.line.previews.event_bytes

    def bindings(self, _request: Request) -> Response:
        line = self._serving.line
        return _json(show_bindings(line.codebook, line.view()))

    def receipt(self, request: Request) -> Response:
        term = subject_key(request.path_params["term"])
        receipt = self._receipt(term)
        if receipt is None:
            raise RequestRefused(404, f"term {term!r}: no term event of it has been registered")
        return _json(receipt)

    def _receipt(self, term: str) -> Receipt | None:
        line = self._serving.line
        live = line.leases.live(now_ms())
        return receipt_of(term, line.view(), line.index.journal, live)

    # What a request may wait for; asked on the loop whenever the bell rings.

    def item_has_come(self, request: Request) -> bool:
        revision = _whole_number(request, "revision", 0, MOST_REVISION)
        found = live_item(self._serving.line.view(), request.path_params["id"])
        return found is not None and found.revision >= revision

    def term_has_come(self, request: Request) -> bool:
        revision = _whole_number(request, "revision", 0, MOST_REVISION)
        term = subject_key(request.path_params["term"])
        until = request.query_params.get("until", "decodable")
        return has_come(self._receipt(term), revision, until)

    def status(self, request: Request) -> Response:
        hashed = _whole_number(request, "hash", 0, 1) == 1
        line = self._line(_whole_number(request, "generation", 0, MOST_GENERATION))
        freshness = line.gauge.reading(time.monotonic())
        return _json(show_status(self._name, line.index, line.leases, freshness, hashed=hashed))

    def _line(self, generation: int) -> GenerationReplica:
        """That of a generation; 0: the one that answers."""
        line = self._serving.lines.get(generation) if generation else self._serving.line
        if line is None:
            followed = ", ".join(map(str, self._serving.lines))
            raise RequestRefused(404, f"generation {generation}: not followed here; {followed} are")
        return line

    def generations(self, request: Request) -> Response:
        hashed = _whole_number(request, "hash", 0, 1) == 1
        return _json(show_generations(self._name, self._serving, hashed=hashed))

    def livez(self, _request: Request) -> Response:
        return _json({"live": True})

    def readyz(self, _request: Request) -> Response:
        freshness = self._serving.line.gauge.reading(time.monotonic())
        return _json(freshness, 200 if freshness.ready else 503)

    def metrics(self, _request: Request) -> Response:
        return Response(self._meters.text(), media_type=TEXT)


Answer = Callable[[Request], Response]
HasCome = Callable[[Request], bool]


def build_app(answers: Answers, meters: Meters, bell: ViewNotifier) -> Starlette:
    """The routes; each is counted with the status that it answered."""

    def route(
        path: str, answer: Answer, has_come: HasCome | None = None, method: str = "GET"
    ) -> Route:
        def answered(request: Request) -> Response:
            try:
                return answer(request)
            except RequestRefused as refused:
                return _json(Problem(refused.error), refused.status)

        async def counted(request: Request) -> Response:
            try:
                if has_come is not None and "revision" in request.query_params:
                    seconds = _whole_number(request, "within_ms", 0, MOST_MS) / 1000
                    await wait_until(bell, seconds, partial(has_come, request))
                if method == "POST":
                    request.state.body = await _body(request, answers.most_bytes())
                response = await run_in_threadpool(answered, request)
            except RequestRefused as refused:
                response = _json(Problem(refused.error), refused.status)
            meters.count(metrics.REPLICA_REQUESTS, path, str(response.status_code))
            return response

        return Route(path, counted, methods=[method])

    return Starlette(
        routes=[
            route("/search", answers.search),
            route("/items/{id:path}", answers.item, answers.item_has_come),
            route("/preview", answers.preview, method="POST"),
            route("/unknown-words", answers.unknown_words),
            route("/preview/{term:path}", answers.preview_proposed),
            route("/bindings", answers.bindings),
            route("/receipts/{term:path}", answers.receipt, answers.term_has_come),
            route("/status", answers.status),
            route("/generations", answers.generations),
            route("/livez", answers.livez),
            route("/readyz", answers.readyz),
            route("/metrics", answers.metrics),
            *(route(path, partial(_file, name)) for path, name in PAGE_FILES.items()),
        ],
        exception_handlers={HTTPException: _unrouted, Exception: _failed},
    )


async def _body(request: Request, most: int) -> bytes:
    """Raises: Refused, before more than that is held."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise RequestRefused(
                413, f"body: more than {most} bytes, which limits.event_bytes allows"
            )
    return bytes(body)


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


def _refuse_long(query: str) -> None:
    if len(query) > QUERY_CHARACTERS:
        raise RequestRefused(400, f"q: {len(query)} characters, at most {QUERY_CHARACTERS}")


def _whole_number(request: Request, name: str, default: int, most: int) -> int:
    given = request.query_params.get(name)
    if given is None:
        return default
    least = min(default, 1)
    if not (given.isascii() and given.isdigit() and least <= int(given[:9]) <= most):
        raise RequestRefused(
            400, f"{name}: {given[:40]!r} is no whole number from {least} to {most}"
        )
    return int(given)
