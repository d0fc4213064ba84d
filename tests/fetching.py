"""What processes on this machine answer over HTTP."""

import httpx

# One for all: a TLS context of its own would take a request twenty times as long.
_HTTP = httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))


def fetch(
    url: str, params: dict[str, str | int] | None = None, *, timeout_seconds: float = 10.0
) -> httpx.Response:
    return _HTTP.get(url, params=params, timeout=timeout_seconds)
