"""The session: a cookie that the console signs, with a key that lives as long as its process."""

import secrets

from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware

from kae.streams.topology import ConsolePart

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
