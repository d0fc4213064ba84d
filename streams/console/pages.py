"""The HTML pages: the values that each template shows, and what each form does."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from starlette.responses import Response

from kae.encoders.text.normal_form import normalise
from kae.streams.console.backend import ConsoleBackend, ThroughputSamples
from kae.streams.console.guard import ConsoleRefused
from kae.streams.console.render import PageRequest, redirect
from kae.streams.console.term_form import TermForm
from kae.streams.console.users import ConsoleRole
from kae.streams.dead_letters.answers import DeadLetterOpened
from kae.streams.errors import ReplicaRefused
from kae.streams.replica_api.answers import BindingShown
from kae.streams.replica_api.terms import Receipt

HITS_SHOWN = 8
CAMPAIGN = "campaign/"


class Pages:
    """One method for each page or form; they run on threads."""

    def __init__(self, backend: ConsoleBackend) -> None:
        self._backend = backend
        self._throughput = ThroughputSamples()
        self.term_form = TermForm(backend)

    # Overview

    def overview(self, request: PageRequest) -> Response:
        return request.render("overview.html", **self._overview())

    def overview_live(self, request: PageRequest) -> Response:
        return request.render("overview_live.html", **self._overview())

    def _overview(self) -> dict[str, Any]:
        overview = self._backend.overview()
        self._throughput.add(overview.status)
        return {"overview": overview, "throughput": self._throughput.per_second()}

    # Terms

    def terms(self, request: PageRequest) -> Response:
        words, category = request.query_text("q"), request.query_text("category")
        shown = self._backend.replica.bindings()
        query = normalise(words)
        matching = [
            one for one in shown.active if _mentions(one, query) and category in ("", one.category)
        ]
        return request.render(
            "terms.html",
            terms=sorted(matching, key=lambda one: one.term),
            all_terms=len(shown.active),
            proposals=shown.proposals,
            capacity=shown.capacity,
            categories=sorted({one.category for one in shown.active}),
            query={"q": words, "category": category},
        )

    def term(self, request: PageRequest) -> Response:
        term = normalise(request.query_text("word", 256))
        if not term:
            raise ConsoleRefused(404, "the word contains no letter or digit")
        revision = request.query_int("revision")
        history = self._backend.history(term)
        receipt = self._backend.replica.receipt(term)
        if receipt is None and not history and revision is None:
            raise ConsoleRefused(404, f"{term!r}: no term event was ever sent for it")
        return request.render(
            "term.html",
            bound=self._backend.bound(term),
            history=history,
            hits=self._backend.replica.search(term, HITS_SHOWN),
            **_receipt_values(term, revision, receipt),
        )

    def receipt(self, request: PageRequest) -> Response:
        term = normalise(request.query_text("word", 256))
        revision = request.query_int("revision")
        receipt = self._backend.replica.receipt(term) if term else None
        return request.render("receipt.html", **_receipt_values(term, revision, receipt))

    def release(self, request: PageRequest) -> Response:
        published = self._backend.release(request.form.get("word", ""), request.user.name)
        return redirect("/term", word=published.term, revision=published.revision)

    def roll_back(self, request: PageRequest) -> Response:
        version = request.form_int("version")
        term = normalise(request.form.get("word", ""))
        published = self._backend.roll_back(term, version, request.user.name)
        return redirect("/term", word=published.term, revision=published.revision)

    def decide(self, request: PageRequest) -> Response:
        """Approve or reject a proposal, depending on the button."""
        key, proposal = request.form.get("key", ""), request.form_int("revision")
        if request.form.get("decision") == "approve":
            self._backend.approve(key, proposal, request.user.name)
        else:
            self._backend.reject(
                key, proposal, request.form.get("reason", "")[:512], request.user.name
            )
        if key.startswith(CAMPAIGN):
            return redirect("/terms")
        return redirect("/term", word=key, revision=proposal)

    # Items

    def item(self, request: PageRequest) -> Response:
        item_id, words = request.query_text("id", 256), request.query_text("q", 1000)
        show = partial(request.render, "item.html", query={"id": item_id, "q": words})
        hits = self._backend.replica.search(words, 20) if words else []
        if not item_id:
            return show(item=None, hits=hits, error="")
        try:
            return show(item=self._backend.replica.item(item_id), hits=hits, error="")
        except ReplicaRefused as error:
            if error.status != 404:
                raise
            return show(
                status=404, item=None, hits=hits, error=f"no live item has the id {item_id!r}"
            )

    # Dead letters

    def dead_letters(self, request: PageRequest) -> Response:
        kind, cause, every = (
            request.query_text("kind"),
            request.query_text("cause"),
            bool(request.query_text("every")),
        )
        return request.render(
            "dead_letters.html",
            dead_letters=self._backend.dead_letters(kind, cause, every),
            query={"kind": kind, "cause": cause, "every": every},
        )

    def dead_letter(self, request: PageRequest) -> Response:
        letter, step = self._backend.dead_letter(request.query_text("at", 40))
        return request.render(
            "dead_letter.html", letter=letter, step=step, content=_content(letter)
        )

    def replay(self, request: PageRequest) -> Response:
        address = request.form.get("at", "")[:40]
        report = self._backend.replay([address])
        if report.refused or report.busy:
            raise ConsoleRefused(
                409,
                f"{address}: not replayed: {report.steps[0].fate}"
                if report.refused
                else f"{address}: another replay may still be running; try again in a minute",
            )
        return redirect("/dead-letter", at=address)

    # Audit

    def audit(self, request: PageRequest) -> Response:
        word = request.query_text("word", 256)
        before = request.query_int("before")
        rows = self._backend.audit.rows(normalise(word), before)
        return request.render("audit.html", rows=rows, query={"word": word, "before": before})


def _content(letter: DeadLetterOpened) -> str:
    """The event for display: JSON indented, other text unchanged, bytes as base64."""
    if letter.event is not None:
        return msgspec.json.format(bytes(letter.event), indent=2).decode()
    return letter.text or letter.base64 or "the record has no value"


def _mentions(one: BindingShown, words: str) -> bool:
    texts = (one.term, *one.aliases, one.match, one.where, one.owner, one.reason)
    return not words or any(words in normalise(text) for text in texts)


def _receipt_values(term: str, revision: int | None, receipt: Receipt | None) -> dict[str, Any]:
    """What receipt.html shows: the receipt, and whether the page should keep polling."""
    refusal = receipt.refused if receipt else None
    refused = refusal if refusal and refusal.revision == revision else None
    proposed = receipt is not None and receipt.proposed is not None
    arrived = revision is None or (receipt is not None and receipt.revision >= revision)
    finished = (
        refused is not None
        or proposed
        or (arrived and receipt is not None and _is_finished(receipt))
    )
    return {
        "term": term,
        "revision": revision,
        "receipt": receipt,
        "awaited": not arrived and not proposed,
        "proposed": proposed,
        "refusal": refused,
        "finished": finished,
    }


def _is_finished(receipt: Receipt) -> bool:
    """Whether no more stages are expected; a term without items never becomes decodable."""
    done = {stage.stage: stage.done for stage in receipt.stages}
    if receipt.state == "scheduled":
        return done["attached"]
    return all(
        is_done or (stage == "decodable" and not receipt.attached_items)
        for stage, is_done in done.items()
    )


@dataclass(frozen=True, slots=True)
class PageRoute:
    """One page or form, with the least role that may use it."""

    path: str
    method: str
    role: ConsoleRole
    answer: Callable[[PageRequest], Response]


def page_routes(pages: Pages) -> tuple[PageRoute, ...]:
    """Every page and form, in the order of the navigation."""
    view, propose, admin = ConsoleRole.viewer, ConsoleRole.proposer, ConsoleRole.admin
    return (
        PageRoute("/", "GET", view, pages.overview),
        PageRoute("/overview", "GET", view, pages.overview_live),
        PageRoute("/terms", "GET", view, pages.terms),
        PageRoute("/terms/new", "GET", propose, pages.term_form.new),
        PageRoute("/terms/preview", "POST", propose, pages.term_form.preview),
        PageRoute("/terms/new", "POST", propose, pages.term_form.bind),
        PageRoute("/term", "GET", view, pages.term),
        PageRoute("/term/receipt", "GET", view, pages.receipt),
        PageRoute("/term/release", "POST", propose, pages.release),
        PageRoute("/term/put-back", "POST", propose, pages.roll_back),
        PageRoute("/term/decide", "POST", ConsoleRole.approver, pages.decide),
        PageRoute("/item", "GET", view, pages.item),
        PageRoute("/dead-letters", "GET", view, pages.dead_letters),
        PageRoute("/dead-letter", "GET", view, pages.dead_letter),
        PageRoute("/dead-letter/replay", "POST", admin, pages.replay),
        PageRoute("/audit", "GET", view, pages.audit),
    )
