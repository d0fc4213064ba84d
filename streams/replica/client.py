"""A replica's answers for the commands: typed, with errors that say what to do."""

from typing import TypeVar
from urllib.parse import quote

import httpx
import msgspec

from kae.streams.errors import ReplicaRefused, ReplicaUnreachable
from kae.streams.replica.answers import BindingsShown, Found, ItemShown, Problem, Status
from kae.streams.replica.receipts import Receipt

T = TypeVar("T")


class ReplicaClient:
    """Asks one replica."""

    def __init__(self, url: str, timeout_seconds: float = 30.0) -> None:
        """Raises: ReplicaUnreachable if the address is none."""
        self.url = url
        try:
            # No proxy stands between an operator and a replica.
            self._http = httpx.Client(base_url=url, timeout=timeout_seconds, trust_env=False)
        except httpx.InvalidURL as error:
            raise ReplicaUnreachable(
                f"{url!r} is no address ({error}); write --replica http://HOST:PORT"
            ) from error

    def item(self, item_id: str) -> ItemShown:
        """Raises: ReplicaUnreachable; ReplicaRefused when no such item is live."""
        return self._get(f"/items/{quote(item_id, safe='')}", ItemShown)

    def search(self, text: str, limit: int = 10) -> Found:
        """Raises: ReplicaUnreachable; ReplicaRefused when the text is too long, or empty."""
        return self._get(f"/search?q={quote(text, safe='')}&limit={limit}", Found)

    def bindings(self) -> BindingsShown:
        """Raises: ReplicaUnreachable."""
        return self._get("/bindings", BindingsShown)

    def status(self, with_hashes: bool = False) -> Status:
        """Raises: ReplicaUnreachable."""
        return self._get("/status?hash=1" if with_hashes else "/status", Status)

    def receipt(
        self, term: str, revision: int = 0, until: str = "decodable", within_seconds: float = 0.0
    ) -> Receipt | None:
        """None when the replica has not heard of the term.

        The answer waits, `within_seconds` at most, until the revision has come to the stage.
        Raises: ReplicaUnreachable.
        """
        within_ms = int(within_seconds * 1000)
        wanted = f"?revision={revision}&until={until}&within_ms={within_ms}"
        answer = self._ask(f"/receipts/{quote(term, safe='')}{wanted if within_ms else ''}")
        return None if answer.status_code == httpx.codes.NOT_FOUND else self._read(answer, Receipt)

    def _get(self, path: str, kind: type[T]) -> T:
        return self._read(self._ask(path), kind)

    def _ask(self, path: str) -> httpx.Response:
        try:
            return self._http.get(path)
        except httpx.TransportError as error:
            raise ReplicaUnreachable(
                f"no replica answers at {self.url} ({error}); start one with `kae replica run`, "
                "or name another: --replica http://HOST:PORT"
            ) from error

    def _read(self, answer: httpx.Response, kind: type[T]) -> T:
        if answer.is_success:
            return msgspec.json.decode(answer.content, type=kind)
        try:
            cause = msgspec.json.decode(answer.content, type=Problem).error
        except msgspec.DecodeError:
            cause = answer.text[:200]
        raise ReplicaRefused(f"{answer.url}: {answer.status_code}: {cause}", answer.status_code)
