"""Promotion: the active terms that the next codebook should have as words of its own."""

from collections.abc import Iterable, Sequence

import msgspec

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.vocabulary.candidates import Candidate, is_candidate
from kae.streams.clock import DAY_MS
from kae.streams.replica_api.answers import BindingShown


class PromotableTerm(msgspec.Struct, frozen=True):
    """An active term that the codebook has no slot for; bound for `days`."""

    term: str
    category: str
    items: int
    days: float
    until_ms: int | None
    owner: str
    reason: str


class TermPassedOver(msgspec.Struct, frozen=True):
    """A bound term that is not promoted, and why."""

    term: str
    why: str


class Promotion(msgspec.Struct, frozen=True):
    """What `kae term promote --json` prints; the terms with most items come first."""

    terms: list[PromotableTerm]
    passed_over: list[TermPassedOver]
    file: str | None


def promotion_of(
    bound: Iterable[BindingShown], codebook: Codebook, min_items: int, now: int, file: str | None
) -> Promotion:
    """Sort bound terms into those to promote and others; `file` is where candidates are written."""
    terms: list[PromotableTerm] = []
    passed_over: list[TermPassedOver] = []
    for one in bound:
        why = _why_not(one, codebook, min_items)
        if why:
            passed_over.append(TermPassedOver(one.term, why))
            continue
        days = round((now - one.bound_ms) / DAY_MS, 2)
        terms.append(
            PromotableTerm(
                term=one.term,
                category=one.category,
                items=one.attached_items,
                days=days,
                until_ms=one.until_ms,
                owner=one.owner,
                reason=one.reason,
            )
        )
    terms.sort(key=lambda one: (-one.items, one.term))
    return Promotion(terms, passed_over, file)


def _why_not(one: BindingShown, codebook: Codebook, min_items: int) -> str:
    category = CATEGORY_INDEX[one.category]
    if one.state != "active":
        return f"is {one.state}"
    if codebook.slot_of(category, one.term) is not None:
        return "the codebook has it"
    if not is_candidate(one.term, category):
        return "no word that titles are searched for: a number, a model, too long or too short"
    if one.attached_items < min_items:
        return f"has {one.attached_items} items, fewer than {min_items}"
    return ""


def as_candidates(terms: Sequence[PromotableTerm]) -> list[Candidate]:
    """The terms as candidates of a fit; people have bound them, so their score is 1."""
    return [
        Candidate(CATEGORY_INDEX[one.category], one.term, one.items, 1.0, _on_one_line(one.reason))
        for one in terms
    ]


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
