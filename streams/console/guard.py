"""The session: a cookie that the console signs, with a key that lives as long as its process.

Who may do what: sessions, roles, forged requests, and the headers of every answer.

Without users everybody is an admin, which is for loopback alone; there, names other than loopback's
are refused, so that no page of another host reaches the console by a name that it rebinds.
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
from kae.streams.topology.types import ConsolePart

COOKIE = "kae_console"


def session_middleware(console: ConsolePart) -> Middleware:
    """Out of reach of scripts; other sites' links bring it along, their forms do not."""
    return Middleware(
        SessionMiddleware,
        secret_key=secrets.token_urlsafe(32),
        session_cookie=COOKIE,
        max_age=int(console.session_hours * 3600),
        same_site="lax",
        https_only=console.https,
    )


ANYBODY = User("", ConsoleRole.admin, "")
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
    # With less, browsers hide the origin of a form, which is looked at here.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class AccessRefused(Exception):
    """A request that is answered with a status and a sentence."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


class SignInFirst(Exception):
    """Nobody is signed in."""


def check_guarded(console: ConsolePart) -> None:
    """Refuse to answer beyond this machine to whoever asks.

    Raises: ConsoleUnguarded.
    """
    host = console.listen.rpartition(":")[0]
    if console.users is None and not is_loopback(host):
        raise ConsoleUnguarded(
            f"console.listen is {console.listen!r}, beyond this machine, and console.users null: "
            "anybody could bind words. Write users (kae console user NAME --users FILE --role "
            "admin) and name the file in topology.yaml, or listen on 127.0.0.1"
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
    """Decides for each request; `users` is None where nobody has to sign in."""

    users: Users | None
    seconds: float  # how long a session holds

    def user(self, request: Request) -> User:
        """Who asks.

        Raises: SignInFirst; Refused for a host that is not this machine's; UsersInvalid.
        """
        if self.users is None:
            if not is_loopback(urlsplit(f"//{request.headers.get('host', '')}").hostname or ""):
                raise AccessRefused(421, "this console answers to 127.0.0.1 and localhost alone")
            return ANYBODY
        session = request.session
        user = self.users.current().get(session.get("user", ""))
        young = time.time() - session.get("since", 0) < self.seconds
        if user is None or not young or session.get("stamp") != user.stamp:
            raise SignInFirst
        return user

    def check_role(self, user: User, role: ConsoleRole) -> None:
        """Raises: Refused."""
        if user.role < role:
            raise AccessRefused(
                403, f"{user.name} is {user.role.name}; this needs {role.name}. Ask an admin"
            )

    def check_same_site(self, request: Request) -> None:
        """Refuse what another site's page had the browser send.

        Raises: Refused.
        """
        site = request.headers.get("sec-fetch-site", "same-origin")
        origin = request.headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
        if site not in ("same-origin", "none") or foreign:
            raise AccessRefused(403, "this request came from another site's page; nothing was done")

    def check_token(self, request: Request, token: str) -> None:
        """Refuse a form that is of no page of this session.

        Raises: Refused.
        """
        wanted = request.session.get(CSRF, "").encode()
        if not wanted or not hmac.compare_digest(wanted, token.encode("utf-8", "replace")):
            raise AccessRefused(
                403, "the page is of a session that is over; load it again, then repeat"
            )

    def sign_in(self, request: Request, name: str, password: str) -> bool:
        """Begin a new session, if the password is right."""
        user = self.users.signed_in(name, password) if self.users else None
        if user is None:
            return False
        # A new session, whose token nobody has seen before.
        request.session.clear()
        request.session.update(user=user.name, since=time.time(), stamp=user.stamp)
        return True


def csrf_token(request: Request) -> str:
    """The session's token, made with the first page that has a form."""
    token: str = request.session.setdefault(CSRF, secrets.token_urlsafe(24))
    return token


class SafeHeaders:
    """Puts the headers on every answer; pages are not kept by anybody."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, answered)
