"""The console's HTTP face: pages for people, the API beneath /api, and the files of pages."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from kae.streams.console.api import OPERATIONS, ApiOperation
from kae.streams.console.backend import ConsoleBackend
from kae.streams.console.guard import (
    CSRF,
    CSRF_HEADER,
    Guard,
    SafeHeaders,
    SignInFirst,
    csrf_token,
    session_middleware,
)
from kae.streams.console.openapi import openapi
from kae.streams.console.pages import Page, Pages, routes_of
from kae.streams.console.render import Renderer, Visit, go, link
from kae.streams.console.requests import (
    EXPECTED,
    FORM_TYPE,
    JSON_TYPE,
    parse_form,
    parse_json,
    parse_query,
    problem_of,
    read_bounded,
)
from kae.streams.console.users import User
from kae.streams.replica_api.answers import Problem

log = structlog.get_logger()
STATIC = Path(__file__).parent / "static"
STATIC_FILES = ("console.css", "console.js", "mark.svg")
Answered = Callable[[Request], Awaitable[Response]]


def build_app(line: ConsoleBackend, guard: Guard) -> Starlette:
    """The routes of one console."""
    face = _Face(line, guard)
    return Starlette(
        routes=[
            *(
                Route(page.path, partial(face.page, page), methods=[page.method])
                for page in routes_of(Pages(line))
            ),
            Route("/sign-in", face.sign_in, methods=["GET", "POST"]),
            Route("/sign-out", face.sign_out, methods=["POST"]),
            *(
                Route(one.path, partial(face.operation, one), methods=[one.method])
                for one in OPERATIONS
            ),
            Route("/api/openapi.json", face.openapi),
            Route("/livez", _livez),
            *(Route(f"/static/{name}", partial(_file, name)) for name in STATIC_FILES),
        ],
        middleware=[Middleware(SafeHeaders), session_middleware(line.topology.console)],
        exception_handlers={HTTPException: face.unrouted, Exception: face.failed},
    )


class _Face:
    def __init__(self, line: ConsoleBackend, guard: Guard) -> None:
        self._line = line
        self._guard = guard
        self._most_bytes = line.topology.limits.event_bytes
        self._render = Renderer()
        self._openapi = msgspec.json.encode(openapi())

    # Pages

    async def page(self, page: Page, request: Request) -> Response:
        """Let a page or form answer, once it is known who asks."""
        user: User | None = None
        try:
            user = self._guard.user(request)
            self._guard.check_role(user, page.role)
            form = await self._form(request) if page.method == "POST" else {}
            visit = Visit(request, user, form, self._page_of(request, user))
            return await run_in_threadpool(page.show, visit)
        except SignInFirst:
            back = str(request.url.path) if page.method == "GET" else "/"
            query = f"?{request.url.query}" if request.url.query and page.method == "GET" else ""
            return RedirectResponse(link("/sign-in", back=back + query), 303)
        except EXPECTED as error:
            return self._problem(request, user, *problem_of(error))

    async def _form(self, request: Request) -> dict[str, str]:
        form = parse_form(await read_bounded(request, FORM_TYPE, self._most_bytes))
        self._guard.check_same_site(request)
        self._guard.check_token(request, form.pop(CSRF, ""))
        return form

    def _page_of(self, request: Request, user: User | None) -> "partial[HTMLResponse]":
        return self._render.of(
            user=user,
            signed_in=user is not None and self._guard.users is not None,
            csrf=csrf_token(request),
            path=request.url.path,
        )

    def _problem(self, request: Request, user: User | None, status: int, error: str) -> Response:
        page = self._page_of(request, user)
        return page("problem.html", status=status, code=status, error=error)

    async def sign_in(self, request: Request) -> Response:
        """The form, and what comes of it."""
        back = request.query_params.get("back", "/")
        # A path of this console, and no other site's address.
        back = back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/"
        show = partial(self._page_of(request, None), "sign_in.html", back=back)
        if self._guard.users is None:
            return go("/")
        if request.method == "GET":
            return show(error="")
        try:
            form = await self._form(request)
            name, password = form.get("name", "").strip(), form.get("password", "")
            right = await run_in_threadpool(self._guard.sign_in, request, name, password)
        except EXPECTED as error:
            return self._problem(request, None, *problem_of(error))
        log.info("signed_in" if right else "sign_in_refused", user=name[:64])
        if not right:
            return show(status=401, error="the name or the password is wrong")
        return RedirectResponse(back, 303)

    async def sign_out(self, request: Request) -> Response:
        try:
            await self._form(request)
        except EXPECTED as error:
            return self._problem(request, None, *problem_of(error))
        request.session.clear()
        return go("/sign-in")

    # The API

    async def operation(self, one: ApiOperation, request: Request) -> Response:
        """Let an operation answer, once it is known who asks."""
        try:
            user = self._guard.user(request)
            self._guard.check_role(user, one.role)
            if one.method == "POST":
                body = await read_bounded(request, JSON_TYPE, self._most_bytes)
                self._guard.check_same_site(request)
                if self._guard.users is not None:
                    self._guard.check_token(request, request.headers.get(CSRF_HEADER, ""))
                asked = parse_json(body, one.asks)
            else:
                asked = parse_query(request.query_params, one.asks)
            answer = await run_in_threadpool(one.call, self._line, user, asked)
        except EXPECTED as error:
            status, cause = problem_of(error)
            return _json(Problem(cause), status)
        return _json(answer, one.status)

    async def openapi(self, _request: Request) -> Response:
        return Response(self._openapi, media_type=JSON_TYPE)

    # What no route answers

    async def unrouted(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        headers = error.headers if isinstance(error, HTTPException) else None
        cause = f"{request.method} {request.url.path}: no such address"
        answer = self._failure(request, status, cause)
        answer.headers.update(headers or {})
        return answer

    async def failed(self, request: Request, error: Exception) -> Response:
        log.error("answer_failed", path=request.url.path, exc_info=error)
        return self._failure(request, 500, "the console failed to answer; its log says why")

    def _failure(self, request: Request, status: int, cause: str) -> Response:
        if request.url.path.startswith("/api/"):
            return _json(Problem(cause), status)
        return self._problem(request, None, status, cause)


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type=JSON_TYPE)


async def _livez(_request: Request) -> Response:
    return _json({"live": True})


async def _file(name: str, _request: Request) -> Response:
    return FileResponse(STATIC / name, headers={"Cache-Control": "max-age=300"})
