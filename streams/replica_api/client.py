"""A client of a replica's HTTP interface, with typed answers."""

from typing import TypeVar
from urllib.parse import quote, urlencode

import httpx
import msgspec

from kae.streams.errors import ReplicaRefused, ReplicaUnreachable
from kae.streams.replica_api.answers import (
    BindingsShown,
    Hit,
    ItemShown,
    Problem,
    SearchAnswer,
    UnknownWordsShown,
)
from kae.streams.replica_api.status import GenerationsShown, Status
from kae.streams.replica_api.terms import Previewed, Receipt

T = TypeVar("T")


class ReplicaClient:
    """A client of one replica."""

    def __init__(self, url: str, timeout_seconds: float = 30.0) -> None:
        """Raises: ReplicaUnreachable if `url` is not an address."""
        self.url = url
        try:
            # Proxies of the environment are for the internet, not for replicas.
            self._http = httpx.Client(base_url=url, timeout=timeout_seconds, trust_env=False)
        except httpx.InvalidURL as error:
            raise ReplicaUnreachable(
                f"{url!r} is no address ({error}); write --replica http://HOST:PORT"
            ) from error

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def item(self, item_id: str) -> ItemShown:
        """Raises: ReplicaUnreachable; ReplicaRefused when no live item has the id."""
        return self._get(f"/items/{_segment(item_id)}", ItemShown)

    def search(self, query: str, limit: int = 5) -> list[Hit]:
        """Raises: ReplicaUnreachable, ReplicaRefused."""
        return self._get(f"/search?{urlencode({'q': query, 'limit': limit})}", SearchAnswer).items

    def unknown_words(self, limit: int) -> UnknownWordsShown:
        """Raises: ReplicaUnreachable, ReplicaRefused."""
        return self._get(f"/unknown-words?limit={limit}", UnknownWordsShown)

    def bindings(self) -> BindingsShown:
        """Raises: ReplicaUnreachable."""
        return self._get("/bindings", BindingsShown)

    def preview(self, event: bytes, query: str = "") -> Previewed:
        """What a bind event would do, and what a query would find then; nothing is changed.

        Raises: ReplicaUnreachable; ReplicaRefused when it cannot be decoded.
        """
        return self._read(
            self._ask("/preview" + f"?{urlencode({'q': query})}" * bool(query), event), Previewed
        )

    def preview_proposed(self, term: str, query: str = "") -> Previewed:
        """What the bind of a term that waits for approval would do.

        Raises: ReplicaUnreachable; ReplicaRefused when no bind waits.
        """
        parameters = f"?{urlencode({'q': query})}" * bool(query)
        return self._get(f"/preview/{_segment(term)}{parameters}", Previewed)

    def status(self, with_hashes: bool = False, generation: int | None = None) -> Status:
        """The status of a generation, by default of the one that serves.

        Raises: ReplicaUnreachable; ReplicaRefused when it does not follow the generation.
        """
        wanted = ["hash=1"] if with_hashes else []
        wanted += [f"generation={generation}"] if generation is not None else []
        return self._get("/status" + "?" * bool(wanted) + "&".join(wanted), Status)

    def generations(self, with_hashes: bool = False) -> GenerationsShown:
        """Raises: ReplicaUnreachable."""
        return self._get("/generations" + "?hash=1" * with_hashes, GenerationsShown)

    def receipt(
        self, term: str, revision: int = 0, until: str = "decodable", within_seconds: float = 0.0
    ) -> Receipt | None:
        """A term's receipt; None when the replica does not know the term.

        Waits, `within_seconds` at most, until the revision has reached the stage `until`.
        Raises: ReplicaUnreachable.
        """
        within_ms = int(within_seconds * 1000)
        wanted = f"?revision={revision}&until={until}&within_ms={within_ms}"
        answer = self._ask(f"/receipts/{_segment(term)}{wanted if within_ms else ''}")
        return None if answer.status_code == httpx.codes.NOT_FOUND else self._read(answer, Receipt)

    def _get(self, path: str, kind: type[T]) -> T:
        return self._read(self._ask(path), kind)

    def _ask(self, path: str, body: bytes | None = None) -> httpx.Response:
        try:
            if body is not None:
                return self._http.post(path, content=body)
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


def _segment(text: str) -> str:
    """One segment of a path: an item's id may be anything, also `..`."""
    return quote(text, safe="").replace(".", "%2E")
