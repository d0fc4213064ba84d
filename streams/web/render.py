"""Pages from templates: everything that is put into one is escaped."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from kae.streams.web.users import Role

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
    made.globals.update(link=link, polyline=polyline, Role=Role)
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
