"""List generations, and cut over: one record, then wait for every live replica to switch."""

import time
from collections.abc import Sequence

from kae.streams import clock
from kae.streams.clock import now_ms
from kae.streams.control.client import user_at_host
from kae.streams.control.records import Cutover
from kae.streams.control.state import GenerationState
from kae.streams.errors import GenerationRefused, GenerationTimedOut
from kae.streams.generations.answers import (
    CutoverMade,
    GenerationListed,
    GenerationsListed,
    GenerationStage,
)
from kae.streams.generations.client import GenerationsClient
from kae.streams.generations.verify import find_followed, read_added_ends, verify_generation
from kae.streams.replica_api.client import ReplicaClient
from kae.streams.replica_api.status import GenerationShown, GenerationsShown

POLL_SECONDS = 0.05


def promote(
    client: GenerationsClient,
    replica: ReplicaClient,
    generation: int,
    reason: str,
    within_seconds: float,
) -> CutoverMade:
    """Let a generation serve that `verify` finds complete.

    Raises: GenerationRefused, GenerationUnusable, ReplicaUnreachable, AppendUnknown;
    GenerationTimedOut when the cut-over is in force and a live replica has not switched in time.
    """
    previous = client.state.serving
    if generation == previous:
        raise GenerationRefused(f"generation {generation} serves already; nothing was changed")
    client.refuse_unannounced(generation, previous)
    added_ends = read_added_ends(client.topology, replica, generation)
    verified = verify_generation(
        replica, generation, within_seconds, compared=False, added_ends=added_ends
    )
    if not verified.complete:
        problems = "; ".join(verified.problems[:5])
        raise GenerationRefused(
            f"generation {generation} is not complete: {problems}. Nothing was changed; see "
            f"`kae generation verify {generation}`"
        )
    began = time.monotonic()
    record = _record(replica.generations(), generation, previous, reason, added_ends)
    offset = client.append(record)
    if client.state.cutover is None or client.state.cutover.offset != offset:
        raise GenerationRefused(
            f"another cut-over or a drop came first: generation {client.state.serving} serves; "
            "look with `kae generation list`"
        )
    replicas = _wait(replica, generation, within_seconds)
    return CutoverMade(
        generation, previous, offset, record.items, record.terms, replicas,
        time.monotonic() - began,
    )  # fmt: skip


def rollback(
    client: GenerationsClient, replica: ReplicaClient, reason: str, within_seconds: float
) -> CutoverMade:
    """Let the generation serve again that the last cut-over replaced.

    Raises: as `promote`.
    """
    if client.state.cutover is None:
        raise GenerationRefused("no generation was promoted yet: there is no way back")
    previous = client.state.cutover.record.previous
    return promote(client, replica, previous, reason, within_seconds)


def _record(
    shown: GenerationsShown,
    generation: int,
    previous: int,
    reason: str,
    added_ends: Sequence[int],
) -> Cutover:
    """The new generation has to cover what the previous one has read by now.

    And, of partitions that the previous one does not read, what was in them.
    """
    status = find_followed(shown, previous).status
    return Cutover(
        generation,
        previous,
        (*(shard.source_next_offset for shard in status.shards), *added_ends),
        status.bindings.source_next_offset,
        user_at_host(),
        reason,
        now_ms(),
    )


def _wait(replica: ReplicaClient, generation: int, within_seconds: float) -> list[str]:
    """The live replicas, as soon as all of them answer from a generation."""
    deadline = time.monotonic() + within_seconds
    while True:
        shown = replica.generations()
        there = answering_from(shown).get(generation, [])
        elsewhere = sorted(_live(shown) - set(there))
        if there and not elsewhere:
            return there
        if time.monotonic() > deadline:
            missing = ", ".join(elsewhere) or "no replica lives"
            raise GenerationTimedOut(
                f"generation {generation}: after {within_seconds:g} s these replicas do not answer "
                f"from it: {missing}. The cut-over is in force, and they switch as soon as they "
                "cover it: look with `kae generation list`, or go back with "
                "`kae generation rollback`"
            )
        time.sleep(POLL_SECONDS)


def _live(shown: GenerationsShown) -> set[str]:
    """All live replicas; one that switches just now answers from no generation by its leases."""
    return {r.replica for one in shown.generations for r in one.status.replicas if r.live}


def answering_from(shown: GenerationsShown) -> dict[int, list[str]]:
    """The live replicas by the generation that they answer from, by their leases."""
    return {
        one.generation: [r.replica for r in one.status.replicas if r.live and r.serving]
        for one in shown.generations
    }


def list_generations(
    state: GenerationState | None, shown: GenerationsShown | None, unasked: list[str]
) -> GenerationsListed:
    """All generations, by the control topic and the answer of a replica, as far as there are any.

    `unasked` says why the control topic could not be read.
    """
    if state is None:
        if shown is None:
            return GenerationsListed(None, None, [], unasked)
        state = GenerationState(shown.serving)
    numbers = sorted({*state.followed, *state.dropped})
    if unasked and shown is not None:
        numbers = sorted(one.generation for one in shown.generations)
    previous = state.cutover.record.previous if state.cutover else None
    return GenerationsListed(
        state.serving,
        None if previous in state.dropped else previous,
        [_listed(state, number, shown) for number in numbers],
        unasked,
    )


def _listed(
    state: GenerationState, number: int, shown: GenerationsShown | None
) -> GenerationListed:
    announced = state.announced.get(number)
    known = {one.generation: one for one in shown.generations} if shown else {}
    one = known.get(number)
    return GenerationListed(
        generation=number,
        state=_state(state, number, one),
        codebook=announced.fingerprint if announced else one.status.codebook if one else "",
        announced=clock.rfc3339(announced.at_ms) if announced else None,
        by=announced.by if announced else None,
        items=one.status.items if one else None,
        behind_events=_behind(one, known.get(state.serving)),
        answering=answering_from(shown).get(number, []) if shown else None,
        problem=shown.problems.get(number, "") if shown else "",
    )


def _state(state: GenerationState, number: int, one: GenerationShown | None) -> GenerationStage:
    if number in state.dropped:
        return GenerationStage.DROPPED
    if number == state.serving:
        return GenerationStage.SERVING
    return GenerationStage.FOLLOWED if one else GenerationStage.UNFOLLOWED


def _behind(one: GenerationShown | None, serving: GenerationShown | None) -> int | None:
    if one is None or serving is None:
        return None
    pairs = zip(one.status.shards, serving.status.shards, strict=False)
    return sum(max(0, b.source_next_offset - a.source_next_offset) for a, b in pairs)
