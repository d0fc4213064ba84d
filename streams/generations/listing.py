"""Listing the generations: what the book says, and what a replica knows of them."""

from kae.streams import moments
from kae.streams.generations.answers import GenerationListed, GenerationsListed, State
from kae.streams.generations.book import GenerationBook
from kae.streams.generations.cutover import answering_from
from kae.streams.replica.answers import GenerationShown, GenerationsShown


def listed(book: GenerationBook, shown: GenerationsShown | None) -> GenerationsListed:
    """All generations; `shown` is a replica's answer, if one answers."""
    numbers = sorted({*book.followed, *book.dropped})
    made = book.made
    return GenerationsListed(
        book.serving,
        made.cutover.previous if made and made.cutover.previous not in book.dropped else None,
        [_listed(book, number, shown) for number in numbers],
    )


def _listed(book: GenerationBook, number: int, shown: GenerationsShown | None) -> GenerationListed:
    announced = book.announced.get(number)
    known = {one.generation: one for one in shown.generations} if shown else {}
    one = known.get(number)
    return GenerationListed(
        generation=number,
        state=_state(book, number, one),
        codebook=announced.fingerprint if announced else one.status.codebook if one else "",
        announced=moments.shown(announced.at_ms) if announced else None,
        by=announced.by if announced else None,
        items=one.status.items if one else None,
        behind_events=_behind(one, known.get(book.serving)),
        answering=answering_from(shown).get(number, []) if shown else None,
        problem=shown.problems.get(number, "") if shown else "",
    )


def _state(book: GenerationBook, number: int, one: GenerationShown | None) -> State:
    if number in book.dropped:
        return State.DROPPED
    if number == book.serving:
        return State.SERVING
    return State.FOLLOWED if one else State.UNFOLLOWED


def _behind(one: GenerationShown | None, serving: GenerationShown | None) -> int | None:
    if one is None or serving is None:
        return None
    pairs = zip(one.status.shards, serving.status.shards, strict=False)
    return sum(max(0, b.source_next_offset - a.source_next_offset) for a, b in pairs)
