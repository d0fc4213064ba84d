"""The form that binds a word, with a preview of what the binding would do."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import NamedTuple

import msgspec
from starlette.responses import Response

from kae.encoders.categories import CATEGORIES
from kae.encoders.selector import SelectorInvalid
from kae.streams.console.backend import ConsoleBackend, selector_of
from kae.streams.console.render import PageRequest, redirect
from kae.streams.errors import TermRefused
from kae.streams.events.term_data import BindData, PlanData
from kae.streams.replica_api.terms import Previewed
from kae.streams.terms.category import CategoryChoice

FIELDS = (
    "word", "match", "where", "items", "category", "aliases", "owner", "reason", "from", "until",
)  # fmt: skip
# The fields that determine the plan of a binding.
PLAN_FIELDS = ("word", "match", "where", "items", "category", "aliases")


class ShownPreview(NamedTuple):
    """The preview beside the form; `fields` is the digest of the fields that it was made for."""

    previewed: Previewed
    chosen: CategoryChoice
    fields: str


class TermForm:
    """One method for each action; they run on threads."""

    def __init__(self, backend: ConsoleBackend) -> None:
        self._backend = backend

    def new(self, request: PageRequest) -> Response:
        return self._page(request, {"word": request.query_text("word", 256)})

    def preview(self, request: PageRequest) -> Response:
        """The form with its preview; an empty category is filled in with the chosen one."""
        form = request.form
        try:
            previewed, chosen = self._backend.preview(
                form.get("word", "").strip(), _bind_data(form), request.user.name
            )
        except (TermRefused, SelectorInvalid) as error:
            return self._page(request, form, str(error))
        filled = {**form, "category": chosen.category}
        return self._page(
            request, filled, shown=ShownPreview(previewed, chosen, _plan_digest(filled))
        )

    def bind(self, request: PageRequest) -> Response:
        """Bind the word with the plan of the preview; preview again if the fields have changed."""
        form = request.form
        if form.get("plan") and form.get("fields") != _plan_digest(form):
            return self.preview(request)
        try:
            data = _bind_data(form)
            if form.get("plan"):
                plan = PlanData(form["plan"], request.form_int("items_planned"))
                data = msgspec.structs.replace(data, plan=plan)
            published = self._backend.bind(form.get("word", "").strip(), data, request.user.name)
        except (TermRefused, SelectorInvalid) as error:
            return self._page(request, form, str(error))
        return redirect("/term", word=published.term, revision=published.revision)

    def _page(
        self,
        request: PageRequest,
        form: Mapping[str, str],
        error: str = "",
        shown: ShownPreview | None = None,
    ) -> Response:
        terms = self._backend.topology.terms
        return request.render(
            "term_form.html",
            status=422 if error else 200,
            form={name: form.get(name, "") for name in FIELDS},
            error=error,
            shown=shown,
            default_days=terms.default_days,
            approvals=terms.approvals,
            categories=CATEGORIES,
        )


def _plan_digest(form: Mapping[str, str]) -> str:
    """Tells whether a preview still belongs to the fields of a form."""
    values = [form.get(name, "").strip() for name in PLAN_FIELDS]
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
        replace=bool(form.get("replace")),
    )


def _moment(form: Mapping[str, str], name: str) -> datetime | None:
    """The UTC time of a datetime-local field; None if it is empty."""
    text = form.get(name, "").strip()
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None
    except ValueError as error:
        raise TermRefused(f"{name}: {text[:40]!r} is not a time; give 2026-07-01T08:00") from error
