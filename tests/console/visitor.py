"""An HTTP client that calls the console's application directly and keeps its cookies."""

import asyncio
from typing import Any

import httpx
from starlette.applications import Starlette

URL = "http://console.example"


class Visitor:
    def __init__(self, app: Starlette, url: str = URL) -> None:
        self._app = app
        self._url = url
        self._cookies = httpx.Cookies()

    def get(self, path: str) -> httpx.Response:
        return self._ask("GET", path)

    def post(self, path: str, **sent: Any) -> httpx.Response:
        return self._ask("POST", path, **sent)

    def _ask(self, method: str, path: str, **sent: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(
                transport=transport, base_url=self._url, cookies=self._cookies
            ) as client:
                answer = await client.request(method, path, **sent)
                self._cookies = client.cookies
                return answer

        return asyncio.run(ask())
