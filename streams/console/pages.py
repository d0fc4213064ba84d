"""The pages: what each asks the line, and what its forms do."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from starlette.responses import Response

from kae.encoders.text.normal_form import normalise
from kae.streams.console.backend import ConsoleBackend, ThroughputSamples
from kae.streams.console.guard import AccessRefused
from kae.streams.console.render import Visit, go
from kae.streams.console.term_form import TermForm
from kae.streams.console.users import ConsoleRole
from kae.streams.dead_letters.answers import LetterOpened
from kae.streams.errors import ReplicaRefused
from kae.streams.replica_api.answers import BindingShown
from kae.streams.replica_api.terms import Receipt

FOUND_SHOWN = 8
CAMPAIGN = "campaign/"


class Pages:
    """A method a page or form; they run on threads."""

    def __init__(self, line: ConsoleBackend) -> None:
        self._line = line
        self._pace = ThroughputSamples()
        self.term_form = TermForm(line)

    # Overview

    def overview(self, visit: Visit) -> Response:
        return visit.page("overview.html", **self._seen())

    def overview_live(self, visit: Visit) -> Response:
        return visit.page("overview_live.html", **self._seen())

    def _seen(self) -> dict[str, Any]:
        seen = self._line.overview()
        self._pace.note(seen.status)
        return {"seen": seen, "paces": self._pace.per_second()}

    # Terms

    def terms(self, visit: Visit) -> Response:
        words, category = visit.asked("q"), visit.asked("category")
        shown = self._line.replica.bindings()
        wanted = normalise(words)
        found = [
            one for one in shown.active if _mentions(one, wanted) and category in ("", one.category)
        ]
        return visit.page(
            "terms.html",
            terms=sorted(found, key=lambda one: one.term),
            all_terms=len(shown.active),
            proposals=shown.proposals,
            capacity=shown.capacity,
            categories=sorted({one.category for one in shown.active}),
            asked={"q": words, "category": category},
        )

    def term(self, visit: Visit) -> Response:
        term = normalise(visit.asked("word", 256))
        if not term:
            raise AccessRefused(404, "the word has no letter or digit")
        revision = visit.whole_number("revision", visit.asked("revision"))
        history = self._line.history(term)
        receipt = self._line.replica.receipt(term)
        if receipt is None and not history and revision is None:
            raise AccessRefused(404, f"{term!r}: no term event of it was ever sent")
        return visit.page(
            "term.html",
            bound=self._line.bound(term),
            history=history,
            found=self._line.replica.search(term, FOUND_SHOWN),
            **_watched(term, revision, receipt),
        )

    def receipt(self, visit: Visit) -> Response:
        term = normalise(visit.asked("word", 256))
        revision = visit.whole_number("revision", visit.asked("revision"))
        receipt = self._line.replica.receipt(term) if term else None
        return visit.page("receipt.html", **_watched(term, revision, receipt))

    def release(self, visit: Visit) -> Response:
        published = self._line.release(visit.form.get("word", ""), visit.user.name)
        return go("/term", word=published.term, revision=published.revision)

    def put_back(self, visit: Visit) -> Response:
        version = visit.number_of_form("version")
        term = normalise(visit.form.get("word", ""))
        published = self._line.put_back(term, version, visit.user.name)
        return go("/term", word=published.term, revision=published.revision)

    def decide(self, visit: Visit) -> Response:
        """Approve or reject a proposal, by the button that was used."""
        key, proposal = visit.form.get("key", ""), visit.number_of_form("revision")
        if visit.form.get("decision") == "approve":
            self._line.approve(key, proposal, visit.user.name)
        else:
            self._line.reject(key, proposal, visit.form.get("reason", "")[:512], visit.user.name)
        if key.startswith(CAMPAIGN):
            return go("/terms")
        return go("/term", word=key, revision=proposal)

    # Items

    def item(self, visit: Visit) -> Response:
        item_id, words = visit.asked("id", 256), visit.asked("q", 1000)
        show = partial(visit.page, "item.html", asked={"id": item_id, "q": words})
        hits = self._line.replica.search(words, 20) if words else []
        if not item_id:
            return show(item=None, hits=hits, error="")
        try:
            return show(item=self._line.replica.item(item_id), hits=hits, error="")
        except ReplicaRefused as error:
            if error.status != 404:
                raise
            return show(
                status=404, item=None, hits=hits, error=f"no live item has the id {item_id!r}"
            )

    # Dead letters

    def letters(self, visit: Visit) -> Response:
        kind, cause, every = visit.asked("kind"), visit.asked("cause"), bool(visit.asked("every"))
        return visit.page(
            "letters.html",
            found=self._line.letters(kind, cause, every),
            asked={"kind": kind, "cause": cause, "every": every},
        )

    def letter(self, visit: Visit) -> Response:
        letter, step = self._line.letter(visit.asked("at", 40))
        return visit.page("letter.html", letter=letter, step=step, content=_content(letter))

    def replay(self, visit: Visit) -> Response:
        address = visit.form.get("at", "")[:40]
        report = self._line.replay([address])
        if report.refused or report.busy:
            raise AccessRefused(
                409,
                f"{address}: not sent: {report.steps[0].fate}"
                if report.refused
                else f"{address}: another replay may still be at work; try again in a minute",
            )
        return go("/dead-letter", at=address)

    # Audit

    def audit(self, visit: Visit) -> Response:
        word = visit.asked("word", 256)
        before = visit.whole_number("before", visit.asked("before"))
        rows = self._line.audit.rows(normalise(word), before)
        return visit.page("audit.html", rows=rows, asked={"word": word, "before": before})


def _content(letter: LetterOpened) -> str:
    """The event for people: JSON with its lines set out, other text as it is, bytes as base64."""
    if letter.event is not None:
        return msgspec.json.format(bytes(letter.event), indent=2).decode()
    return letter.text or letter.base64 or "the record had no value"


def _mentions(one: BindingShown, words: str) -> bool:
    texts = (one.term, *one.aliases, one.match, one.where, one.owner, one.reason)
    return not words or any(words in normalise(text) for text in texts)


def _watched(term: str, revision: int | None, receipt: Receipt | None) -> dict[str, Any]:
    """A receipt, and whether there is more to wait for."""
    refusal = receipt.refused if receipt else None
    refused = refusal if refusal and refusal.revision == revision else None
    proposed = receipt is not None and receipt.proposed is not None
    come = revision is None or (receipt is not None and receipt.revision >= revision)
    ended = refused is not None or proposed or (come and receipt is not None and _ended(receipt))
    return {
        "term": term,
        "revision": revision,
        "receipt": receipt,
        "awaited": not come and not proposed,
        "proposed": proposed,
        "refusal": refused,
        "ended": ended,
    }


def _ended(receipt: Receipt) -> bool:
    """A term that is attached to nothing is never decodable, which is no failure."""
    done = {stage.stage: stage.done for stage in receipt.stages}
    if receipt.state == "scheduled":
        return done["attached"]
    return all(
        is_done or (stage == "decodable" and not receipt.attached_items)
        for stage, is_done in done.items()
    )


# Path, method, role, form or page: the routes, in the order of the navigation.
@dataclass(frozen=True, slots=True)
class Page:
    path: str
    method: str
    role: ConsoleRole
    show: Callable[[Visit], Response]


def routes_of(pages: Pages) -> tuple[Page, ...]:
    """Every page and form, with the least role that may."""
    view, propose, admin = ConsoleRole.viewer, ConsoleRole.proposer, ConsoleRole.admin
    return (
        Page("/", "GET", view, pages.overview),
        Page("/overview", "GET", view, pages.overview_live),
        Page("/terms", "GET", view, pages.terms),
        Page("/terms/new", "GET", propose, pages.term_form.new),
        Page("/terms/preview", "POST", propose, pages.term_form.preview),
        Page("/terms/new", "POST", propose, pages.term_form.bind),
        Page("/term", "GET", view, pages.term),
        Page("/term/receipt", "GET", view, pages.receipt),
        Page("/term/release", "POST", propose, pages.release),
        Page("/term/put-back", "POST", propose, pages.put_back),
        Page("/term/decide", "POST", ConsoleRole.approver, pages.decide),
        Page("/item", "GET", view, pages.item),
        Page("/dead-letters", "GET", view, pages.letters),
        Page("/dead-letter", "GET", view, pages.letter),
        Page("/dead-letter/replay", "POST", admin, pages.replay),
        Page("/audit", "GET", view, pages.audit),
    )
