"""Pages from templates: everything that is put into one is escaped.

A visit: one request to a page, and where it goes from there.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kae.streams.console.guard import AccessRefused
from kae.streams.console.users import ConsoleRole, User

TEMPLATES = Path(__file__).parent / "templates"


def moment(at_ms: int | None) -> str:
    """To the second, UTC."""
    if at_ms is None:
        return "–"
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def number(value: float | None, decimals: int = 0) -> str:
    return "–" if value is None else f"{value:,.{decimals}f}"


def link(path: str, **query: object) -> str:
    """A path with a query, of which empty values are left out."""
    given = {name: str(value) for name, value in query.items() if value not in ("", None)}
    return f"{path}?{urlencode(given)}" if given else path


def polyline(values: Sequence[float], width: float, height: float) -> str:
    """Points of a line through values, the largest at the top; for an SVG of that size."""
    if len(values) < 2:
        return ""
    most = max(*values, math.ulp(1.0))
    step = width / (len(values) - 1)
    return " ".join(
        f"{index * step:.1f},{height - 1 - (height - 2) * value / most:.1f}"
        for index, value in enumerate(values)
    )


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(moment=moment, number=number)
    made.globals.update(link=link, polyline=polyline, Role=ConsoleRole)
    return made


class Renderer:
    """Renders templates by name."""

    def __init__(self) -> None:
        self._environment = _environment()

    def __call__(self, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        text = self._environment.get_template(name).render(**values)
        return HTMLResponse(text, status)

    def of(self, **values: Any) -> "partial[HTMLResponse]":
        """Renders with some values given already."""
        return partial(self.__call__, **values)


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
            raise AccessRefused(400, f"{name}: {len(value)} characters, at most {most}")
        return value

    def whole_number(self, name: str, given: str) -> int | None:
        """Raises: Refused."""
        if not given:
            return None
        if not (given.isascii() and given.isdigit() and len(given) <= 18):
            raise AccessRefused(400, f"{name}: {given[:40]!r} is no whole number")
        return int(given)

    def number_of_form(self, name: str) -> int:
        """Raises: Refused."""
        found = self.whole_number(name, self.form.get(name, ""))
        if found is None:
            raise AccessRefused(400, f"{name}: missing")
        return found


def go(path: str, **query: object) -> Response:
    """After a form: a page that can be loaded again without sending the form again."""
    return RedirectResponse(link(path, **query), 303)
