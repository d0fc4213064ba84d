"""The console's web application: HTML pages, the JSON API under /api, and static files."""

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
    SignInRequired,
    csrf_token,
    session_middleware,
)
from kae.streams.console.openapi import openapi
from kae.streams.console.pages import PageRoute, Pages, page_routes
from kae.streams.console.render import PageRequest, Renderer, link, redirect
from kae.streams.console.requests import (
    EXPECTED_ERRORS,
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


def build_app(backend: ConsoleBackend, guard: Guard) -> Starlette:
    """The ASGI application of one console."""
    endpoints = _Endpoints(backend, guard)
    return Starlette(
        routes=[
            *(
                Route(page.path, partial(endpoints.page, page), methods=[page.method])
                for page in page_routes(Pages(backend))
            ),
            Route("/sign-in", endpoints.sign_in, methods=["GET", "POST"]),
            Route("/sign-out", endpoints.sign_out, methods=["POST"]),
            *(
                Route(one.path, partial(endpoints.call, one), methods=[one.method])
                for one in OPERATIONS
            ),
            Route("/api/openapi.json", endpoints.openapi),
            Route("/livez", _livez),
            *(Route(f"/static/{name}", partial(_file, name)) for name in STATIC_FILES),
        ],
        middleware=[Middleware(SafeHeaders), session_middleware(backend.topology.console)],
        exception_handlers={HTTPException: endpoints.unrouted, Exception: endpoints.failed},
    )


class _Endpoints:
    def __init__(self, backend: ConsoleBackend, guard: Guard) -> None:
        self._backend = backend
        self._guard = guard
        self._max_bytes = backend.topology.limits.event_bytes
        self._renderer = Renderer()
        self._openapi = msgspec.json.encode(openapi())

    # Pages

    async def page(self, page: PageRoute, request: Request) -> Response:
        """Answer a page or a form after checking who asks."""
        user: User | None = None
        try:
            user = self._guard.user(request)
            self._guard.check_role(user, page.role)
            form = await self._form(request) if page.method == "POST" else {}
            render = self._bind_renderer(request, user)
            page_request = PageRequest(request.query_params, user, form, render)
            return await run_in_threadpool(page.answer, page_request)
        except SignInRequired:
            back = str(request.url.path) if page.method == "GET" else "/"
            query = f"?{request.url.query}" if request.url.query and page.method == "GET" else ""
            return RedirectResponse(link("/sign-in", back=back + query), 303)
        except EXPECTED_ERRORS as error:
            return self._problem(request, user, *problem_of(error))

    async def _form(self, request: Request) -> dict[str, str]:
        form = parse_form(await read_bounded(request, FORM_TYPE, self._max_bytes))
        self._guard.check_same_site(request)
        self._guard.check_token(request, form.pop(CSRF, ""))
        return form

    def _bind_renderer(self, request: Request, user: User | None) -> "partial[HTMLResponse]":
        return self._renderer.bind(
            user=user,
            signed_in=user is not None and self._guard.users is not None,
            csrf=csrf_token(request),
            path=request.url.path,
        )

    def _problem(self, request: Request, user: User | None, status: int, error: str) -> Response:
        render = self._bind_renderer(request, user)
        return render("problem.html", status=status, code=status, error=error)

    async def sign_in(self, request: Request) -> Response:
        """Show the sign-in form, or check what it sends."""
        back = request.query_params.get("back", "/")
        # Only a path of this console: no open redirect.
        back = back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/"
        show = partial(self._bind_renderer(request, None), "sign_in.html", back=back)
        if self._guard.users is None:
            return redirect("/")
        if request.method == "GET":
            return show(error="")
        try:
            form = await self._form(request)
            name, password = form.get("name", "").strip(), form.get("password", "")
            correct = await run_in_threadpool(self._guard.sign_in, request, name, password)
        except EXPECTED_ERRORS as error:
            return self._problem(request, None, *problem_of(error))
        log.info("signed_in" if correct else "sign_in_refused", user=name[:64])
        if not correct:
            return show(status=401, error="the name or the password is wrong")
        return RedirectResponse(back, 303)

    async def sign_out(self, request: Request) -> Response:
        try:
            await self._form(request)
        except EXPECTED_ERRORS as error:
            return self._problem(request, None, *problem_of(error))
        request.session.clear()
        return redirect("/sign-in")

    # The API

    async def call(self, operation: ApiOperation, request: Request) -> Response:
        """Answer an API operation after checking who asks."""
        try:
            user = self._guard.user(request)
            self._guard.check_role(user, operation.role)
            if operation.method == "POST":
                body = await read_bounded(request, JSON_TYPE, self._max_bytes)
                self._guard.check_same_site(request)
                if self._guard.users is not None:
                    self._guard.check_token(request, request.headers.get(CSRF_HEADER, ""))
                arguments = parse_json(body, operation.request)
            else:
                arguments = parse_query(request.query_params, operation.request)
            answer = await run_in_threadpool(operation.call, self._backend, user, arguments)
        except EXPECTED_ERRORS as error:
            status, cause = problem_of(error)
            return _json(Problem(cause), status)
        return _json(answer, operation.status)

    async def openapi(self, _request: Request) -> Response:
        return Response(self._openapi, media_type=JSON_TYPE)

    # Errors that no route handles

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
