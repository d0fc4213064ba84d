"""The form that binds a word: it shows what that would do before it is done."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import NamedTuple

import msgspec
from starlette.responses import Response

from kae.encoders.categories import CATEGORIES
from kae.encoders.selector import SelectorInvalid
from kae.streams.console.backend import ConsoleBackend, selector_of
from kae.streams.console.render import Visit, go
from kae.streams.errors import TermRefused
from kae.streams.events.term_data import BindData, PlanData
from kae.streams.replica_api.terms import Previewed
from kae.streams.terms.category import CategoryChoice

FIELDS = (
    "word", "match", "where", "items", "category", "aliases", "owner", "reason", "from", "until",
)  # fmt: skip
# What a plan is made of.
PLANNED = ("word", "match", "where", "items", "category", "aliases")


class Seen(NamedTuple):
    """A preview that is shown beside the form; `fields` is the mark of what it was made for."""

    previewed: Previewed
    chosen: CategoryChoice
    fields: str


class TermForm:
    """A method a form; they run on threads."""

    def __init__(self, line: ConsoleBackend) -> None:
        self._line = line

    def new(self, visit: Visit) -> Response:
        return self._page(visit, {"word": visit.asked("word", 256)})

    def preview(self, visit: Visit) -> Response:
        """The form again, with what it would do; the category is filled in as it was chosen."""
        form = visit.form
        try:
            previewed, chosen = self._line.preview(
                form.get("word", "").strip(), _bind_data(form), visit.user.name
            )
        except (TermRefused, SelectorInvalid) as error:
            return self._page(visit, form, str(error))
        filled = {**form, "category": chosen.category}
        return self._page(visit, filled, seen=Seen(previewed, chosen, _mark(filled)))

    def bind(self, visit: Visit) -> Response:
        """Bind it, held to the preview that was seen, if it is the one of these fields."""
        form = visit.form
        if form.get("plan") and form.get("fields") != _mark(form):
            return self.preview(visit)
        try:
            data = _bind_data(form)
            if form.get("plan"):
                plan = PlanData(form["plan"], visit.number_of_form("items_planned"))
                data = msgspec.structs.replace(data, plan=plan)
            published = self._line.bind(form.get("word", "").strip(), data, visit.user.name)
        except (TermRefused, SelectorInvalid) as error:
            return self._page(visit, form, str(error))
        return go("/term", word=published.term, revision=published.revision)

    def _page(
        self, visit: Visit, form: Mapping[str, str], error: str = "", seen: Seen | None = None
    ) -> Response:
        terms = self._line.topology.terms
        return visit.page(
            "term_form.html",
            status=422 if error else 200,
            form={name: form.get(name, "") for name in FIELDS},
            error=error,
            seen=seen,
            default_days=terms.default_days,
            approvals=terms.approvals,
            categories=CATEGORIES,
        )


def _mark(form: Mapping[str, str]) -> str:
    """The same for the same plan: a preview is not that of a form that was changed since."""
    values = [form.get(name, "").strip() for name in PLANNED]
    return blake2b(msgspec.json.encode(values), digest_size=8).hexdigest()


def _bind_data(form: Mapping[str, str]) -> BindData:
    aliases = [alias.strip() for alias in form.get("aliases", "").splitlines() if alias.strip()]
    return BindData(
        revision=0,
        selector=selector_of(*(form.get(name, "") for name in ("match", "items", "where"))),
        aliases=aliases,
        category=form.get("category", ""),
        owner=form.get("owner", "").strip(),
        reason=form.get("reason", "").strip(),
        from_=_moment(form, "from"),
        until=_moment(form, "until") or msgspec.UNSET,
    )


def _moment(form: Mapping[str, str], name: str) -> datetime | None:
    """A time in UTC, as a browser's field for times gives it; None if it is empty."""
    given = form.get(name, "").strip()
    try:
        return datetime.fromisoformat(given).replace(tzinfo=UTC) if given else None
    except ValueError as error:
        raise TermRefused(f"{name}: {given[:40]!r} is no time; give 2026-07-01T08:00") from error
