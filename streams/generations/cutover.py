"""Cutting over: one record, and then the waiting until every live replica answers from there.

Listing the generations: what the book says, and what a replica knows of them.
"""

import time

from kae.streams import clock
from kae.streams.clock import now_ms
from kae.streams.control.client import signature
from kae.streams.control.records import Cutover
from kae.streams.control.state import GenerationState
from kae.streams.errors import GenerationRefused, GenerationTimedOut
from kae.streams.generations.answers import CutoverMade, GenerationListed, GenerationsListed, State
from kae.streams.generations.client import GenerationsClient
from kae.streams.generations.verify import followed, verify_generation
from kae.streams.replica_api.client import ReplicaClient
from kae.streams.replica_api.status import GenerationShown, GenerationsShown

ASK_SECONDS = 0.05


def promote(
    desk: GenerationsClient,
    replica: ReplicaClient,
    generation: int,
    reason: str,
    within_seconds: float,
) -> CutoverMade:
    """Have a generation serve that `verify` finds complete.

    Raises: GenerationRefused, GenerationUnusable, ReplicaUnreachable, AppendUnknown;
    GenerationTimedOut when the record counts, and a live replica has not switched in time.
    """
    previous = desk.book.serving
    if generation == previous:
        raise GenerationRefused(f"generation {generation} serves already; nothing was changed")
    desk.refuse_unannounced(generation, previous)
    verified = verify_generation(replica, generation, within_seconds, compared=False)
    if not verified.complete:
        told = "; ".join(verified.problems[:5])
        raise GenerationRefused(
            f"generation {generation} is not complete: {told}. Nothing was changed; see "
            f"`kae generation verify {generation}`"
        )
    began = time.monotonic()
    record = _record(replica.generations(), generation, previous, reason)
    offset = desk.write(record)
    if desk.book.made is None or desk.book.made.offset != offset:
        raise GenerationRefused(
            f"another cut-over or a drop came between: generation {desk.book.serving} serves; "
            "look with `kae generation list`"
        )
    replicas = _wait(replica, generation, within_seconds)
    return CutoverMade(
        generation, previous, offset, record.items, record.terms, replicas,
        time.monotonic() - began,
    )  # fmt: skip


def rollback(
    desk: GenerationsClient, replica: ReplicaClient, reason: str, within_seconds: float
) -> CutoverMade:
    """Have the generation serve again that the last cut-over has taken the place of.

    Raises: as `promote`.
    """
    made = desk.book.made
    if made is None:
        raise GenerationRefused("no generation was promoted yet: there is no way back")
    return promote(desk, replica, made.cutover.previous, reason, within_seconds)


def _record(shown: GenerationsShown, generation: int, previous: int, reason: str) -> Cutover:
    """What the generation before has been given by now is what the new one has to cover."""
    status = followed(shown, previous).status
    return Cutover(
        generation,
        previous,
        tuple(shard.source_next_offset for shard in status.shards),
        status.bindings.source_next_offset,
        signature(),
        reason,
        now_ms(),
    )


def _wait(replica: ReplicaClient, generation: int, within_seconds: float) -> list[str]:
    """The live replicas, once all of them answer from a generation."""
    deadline = time.monotonic() + within_seconds
    while True:
        shown = replica.generations()
        there = answering_from(shown).get(generation, [])
        elsewhere = sorted(_live(shown) - set(there))
        if there and not elsewhere:
            return there
        if time.monotonic() > deadline:
            raise GenerationTimedOut(
                f"generation {generation} is to serve, and after {within_seconds:g} s these do not "
                f"answer from it: {', '.join(elsewhere) or 'no replica lives'}. They switch as "
                "soon as they cover the cut-over; `kae generation list` asks again, "
                "`kae generation rollback` goes back"
            )
        time.sleep(ASK_SECONDS)


def _live(shown: GenerationsShown) -> set[str]:
    """The live replicas, whatever they answer from, or between two: from none by their leases."""
    return {r.replica for one in shown.generations for r in one.status.replicas if r.live}


def answering_from(shown: GenerationsShown) -> dict[int, list[str]]:
    """The live replicas by the generation that they answer from, as their leases say."""
    return {
        one.generation: [r.replica for r in one.status.replicas if r.live and r.serving]
        for one in shown.generations
    }


def list_generations(book: GenerationState, shown: GenerationsShown | None) -> GenerationsListed:
    """All generations; `shown` is a replica's answer, if one answers."""
    numbers = sorted({*book.followed, *book.dropped})
    made = book.made
    return GenerationsListed(
        book.serving,
        made.cutover.previous if made and made.cutover.previous not in book.dropped else None,
        [_listed(book, number, shown) for number in numbers],
    )


def _listed(book: GenerationState, number: int, shown: GenerationsShown | None) -> GenerationListed:
    announced = book.announced.get(number)
    known = {one.generation: one for one in shown.generations} if shown else {}
    one = known.get(number)
    return GenerationListed(
        generation=number,
        state=_state(book, number, one),
        codebook=announced.fingerprint if announced else one.status.codebook if one else "",
        announced=clock.rfc3339(announced.at_ms) if announced else None,
        by=announced.by if announced else None,
        items=one.status.items if one else None,
        behind_events=_behind(one, known.get(book.serving)),
        answering=answering_from(shown).get(number, []) if shown else None,
        problem=shown.problems.get(number, "") if shown else "",
    )


def _state(book: GenerationState, number: int, one: GenerationShown | None) -> State:
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
