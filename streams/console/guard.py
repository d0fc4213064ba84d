"""Access control of the console: sessions, roles, CSRF protection and security headers.

The session is a signed cookie; its key lives as long as the process. Without a file of users
everybody is an admin. The console then listens on loopback only and refuses every other host name,
which stops DNS rebinding.
"""

import hmac
import ipaddress
import secrets
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kae.streams.console.users import ConsoleRole, User, Users
from kae.streams.errors import ConsoleUnguarded
from kae.streams.topology.parts import ConsolePart

COOKIE = "kae_console"
ANONYMOUS_ADMIN = User("", ConsoleRole.admin, "")
CSRF = "csrf"
CSRF_HEADER = "x-csrf-token"
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    # check_same_site needs the origin; with a stricter policy browsers hide it from forms.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def session_middleware(console: ConsolePart) -> Middleware:
    """The session cookie: hidden from scripts, not sent with forms of other sites."""
    return Middleware(
        SessionMiddleware,
        secret_key=secrets.token_urlsafe(32),
        session_cookie=COOKIE,
        max_age=int(console.session_hours * 3600),
        same_site="lax",
        https_only=console.https,
    )


class ConsoleRefused(Exception):
    """The request is answered with an HTTP error status and a message."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


class SignInRequired(Exception):
    """The request has no valid session."""


def check_exposure(console: ConsolePart) -> None:
    """Refuse to listen beyond loopback without users.

    Raises: ConsoleUnguarded.
    """
    host = console.listen.rpartition(":")[0]
    if console.users is None and not is_loopback(host):
        raise ConsoleUnguarded(
            f"console.listen is {console.listen!r}, which is not loopback, and console.users is "
            "null: anybody could bind words. Add a user (kae console user NAME --users FILE --role "
            "admin) and set console.users to the file in topology.yaml, or listen on 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    bare = host.strip("[]").lower()
    if bare == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Guard:
    """Authenticates and authorises each request; `users` is None where nobody has to sign in."""

    users: Users | None
    session_seconds: float

    def user(self, request: Request) -> User:
        """The user of the request's session.

        Raises: SignInRequired; ConsoleRefused for a host that is not loopback; UsersInvalid.
        """
        if self.users is None:
            if not is_loopback(urlsplit(f"//{request.headers.get('host', '')}").hostname or ""):
                raise ConsoleRefused(
                    421, "without users this console answers only to 127.0.0.1 and localhost"
                )
            return ANONYMOUS_ADMIN
        session = request.session
        user = self.users.current().get(session.get("user", ""))
        fresh = time.time() - session.get("since", 0) < self.session_seconds
        if user is None or not fresh or session.get("stamp") != user.stamp:
            raise SignInRequired
        return user

    def check_role(self, user: User, role: ConsoleRole) -> None:
        """Raises: ConsoleRefused."""
        if user.role < role:
            raise ConsoleRefused(
                403,
                f"{user.name} has the role {user.role.name}; this needs {role.name}. Ask an admin",
            )

    def check_same_site(self, request: Request) -> None:
        """Refuse a request that a page of another site made the browser send.

        Raises: ConsoleRefused.
        """
        site = request.headers.get("sec-fetch-site", "same-origin")
        origin = request.headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
        if site not in ("same-origin", "none") or foreign:
            raise ConsoleRefused(
                403, "this request came from a page of another site; nothing was changed"
            )

    def check_token(self, request: Request, token: str) -> None:
        """Refuse a form without the CSRF token of this session.

        Raises: ConsoleRefused.
        """
        expected = request.session.get(CSRF, "").encode()
        if not expected or not hmac.compare_digest(expected, token.encode("utf-8", "replace")):
            raise ConsoleRefused(
                403, "the page belongs to a session that has ended; reload it and try again"
            )

    def sign_in(self, request: Request, name: str, password: str) -> bool:
        """Start a new session if the password is right."""
        user = self.users.authenticate(name, password) if self.users else None
        if user is None:
            return False
        # Clearing also drops the CSRF token, which was issued before the sign-in.
        request.session.clear()
        request.session.update(user=user.name, since=time.time(), stamp=user.stamp)
        return True


def csrf_token(request: Request) -> str:
    """The CSRF token of the session, created on first use."""
    token: str = request.session.setdefault(CSRF, secrets.token_urlsafe(24))
    return token


class SafeHeaders:
    """ASGI middleware: sets HEADERS on every answer and forbids caching by default."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)
