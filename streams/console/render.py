"""Rendering: Jinja templates with autoescape, the values they need, and redirects."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kae.streams.console.guard import ConsoleRefused
from kae.streams.console.users import ConsoleRole, User

TEMPLATES = Path(__file__).parent / "templates"


def moment(at_ms: int | None) -> str:
    """UTC, to the second."""
    if at_ms is None:
        return "–"
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def number(value: float | None, decimals: int = 0) -> str:
    return "–" if value is None else f"{value:,.{decimals}f}"


def link(path: str, **query: object) -> str:
    """A path with a query string; empty values are left out."""
    given = {name: str(value) for name, value in query.items() if value not in ("", None)}
    return f"{path}?{urlencode(given)}" if given else path


def polyline(values: Sequence[float], width: float, height: float) -> str:
    """The `points` of an SVG polyline through the values, scaled to the largest."""
    if len(values) < 2:
        return ""
    most = max(*values, math.ulp(1.0))
    step = width / (len(values) - 1)
    return " ".join(
        f"{index * step:.1f},{height - 1 - (height - 2) * value / most:.1f}"
        for index, value in enumerate(values)
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(moment=moment, number=number)
    environment.globals.update(link=link, polyline=polyline, Role=ConsoleRole)
    return environment


class Renderer:
    """Renders templates by name."""

    def __init__(self) -> None:
        self._environment = _environment()

    def __call__(self, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        text = self._environment.get_template(name).render(**values)
        return HTMLResponse(text, status)

    def bind(self, **values: Any) -> "partial[HTMLResponse]":
        """A renderer that already has some of the values."""
        return partial(self.__call__, **values)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request of a signed-in user to a page; `form` is empty unless it is a POST.

    `render` renders a template by name, with the values that every page needs.
    """

    query: Mapping[str, str]
    user: User
    form: Mapping[str, str]
    render: Callable[..., HTMLResponse]

    def query_text(self, name: str, max_length: int = 512) -> str:
        """A query parameter, stripped; empty if it is missing.

        Raises: ConsoleRefused if it is too long.
        """
        value = self.query.get(name, "").strip()
        if len(value) > max_length:
            raise ConsoleRefused(400, f"{name}: {len(value)} characters; at most {max_length}")
        return value

    def query_int(self, name: str) -> int | None:
        """Raises: ConsoleRefused."""
        return _parse_int(name, self.query_text(name))

    def form_int(self, name: str) -> int:
        """Raises: ConsoleRefused, also if the field is missing."""
        value = _parse_int(name, self.form.get(name, ""))
        if value is None:
            raise ConsoleRefused(400, f"{name}: missing")
        return value


def _parse_int(name: str, text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ConsoleRefused(400, f"{name}: {text[:40]!r} is not a whole number")
    return int(text)


def redirect(path: str, **query: object) -> Response:
    """Redirect after a form, so that reloading the page does not send the form again."""
    return RedirectResponse(link(path, **query), 303)
