"""A visit: one request to a page, and where it goes from there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kae.streams.web.guard import Refused
from kae.streams.web.render import link
from kae.streams.web.users import User


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to a page; `form` is empty but for a POST. `page` renders with what all need."""

    request: Request
    user: User
    form: Mapping[str, str]
    page: Callable[..., HTMLResponse]

    def asked(self, name: str, most: int = 512) -> str:
        """A value of the query, without the spaces around it."""
        value = self.request.query_params.get(name, "").strip()
        if len(value) > most:
            raise Refused(400, f"{name}: {len(value)} characters, at most {most}")
        return value

    def whole_number(self, name: str, given: str) -> int | None:
        """Raises: Refused."""
        if not given:
            return None
        if not (given.isascii() and given.isdigit() and len(given) <= 18):
            raise Refused(400, f"{name}: {given[:40]!r} is no whole number")
        return int(given)

    def number_of_form(self, name: str) -> int:
        """Raises: Refused."""
        found = self.whole_number(name, self.form.get(name, ""))
        if found is None:
            raise Refused(400, f"{name}: missing")
        return found


def go(path: str, **query: object) -> Response:
    """After a form: a page that can be loaded again without sending the form again."""
    return RedirectResponse(link(path, **query), 303)
