"""What a new term collides with: terms that are bound, and words of the codebook."""

from collections.abc import Iterator

from kae.encoders.categories import CATEGORIES
from kae.encoders.vocabulary.misspelling import is_misspelling
from kae.encoders.vocabulary.similar_words import MeaningNeighbours, SpellingNeighbours
from kae.sinks.log.edits import BindSlot
from kae.sinks.log.term_changes import Bind
from kae.streams.replica.view import View
from kae.streams.replica_api.terms import Collision


def collisions_of(
    likeness: SpellingNeighbours, meanings: MeaningNeighbours, view: View, bind: Bind
) -> list[Collision]:
    """The collisions of the word, then those of its aliases; the worst of each form first."""
    found = list(_of_the_term(view, bind))
    for form in (bind.term, *bind.aliases):
        found += _with_terms(view, bind, form)
        spelled_alike = list(_with_codebook(likeness, form))
        others = {one.other for one in spelled_alike}
        found += spelled_alike
        found += (one for one in _of_like_meaning(meanings, form) if one.other not in others)
    return found


def _of_the_term(view: View, bind: Bind) -> Iterator[Collision]:
    holder = view.bindings.holder_of(bind.term)
    if holder is not None:
        yield _term("bound", view, bind.term, holder)
    proposal = view.bindings.proposals.get(bind.term)
    if proposal is not None:
        items = proposal.change.plan.items
        yield Collision("proposed", bind.term, bind.term, CATEGORIES[bind.category], items)


def _with_terms(view: View, bind: Bind, form: str) -> Iterator[Collision]:
    others = [bound for bound in view.bindings.bound.values() if bound.term != bind.term]
    for other in others:
        if form in (other.term, *other.aliases):
            yield _term("form", view, form, other)
    for other in others:
        if any(is_misspelling(known, form) for known in (other.term, *other.aliases)):
            yield _term("near", view, form, other)


def _with_codebook(likeness: SpellingNeighbours, form: str) -> Iterator[Collision]:
    alike = likeness.spelled_alike(form)
    for kind, words in (("codebook", alike), ("near", likeness.near(form))):
        for word in words:
            yield Collision(kind, form, word.word, CATEGORIES[word.category], word.items)


def _of_like_meaning(meanings: MeaningNeighbours, form: str) -> Iterator[Collision]:
    for word, cosine in meanings.like(form):
        category = CATEGORIES[word.category]
        yield Collision("meaning", form, word.word, category, word.items, cosine)


def _term(kind: str, view: View, form: str, bound: BindSlot) -> Collision:
    items = view.attached_items(bound.binding)
    return Collision(kind, form, bound.term, CATEGORIES[bound.category], items)
