"""Verifying: is a generation as complete as the one that serves?"""

import time
from collections.abc import Iterator

from kae.streams.errors import GenerationUnusable
from kae.streams.generations.answers import GenerationVerified, TermVerified
from kae.streams.replica_api.client import ReplicaClient
from kae.streams.replica_api.status import (
    GenerationShown,
    GenerationsShown,
    GenerationTerm,
    ShardShown,
)

ASK_SECONDS = 0.1


def verify_generation(
    replica: ReplicaClient, generation: int, within_seconds: float, *, compared: bool = True
) -> GenerationVerified:
    """Compare it with the generation that serves, as one replica holds both.

    It is given this time to read what the serving one had read at the beginning, and, if items are
    to be `compared`, to stand where that one stands.
    Raises: ReplicaUnreachable; GenerationUnusable when the replica does not follow it.
    """
    deadline = time.monotonic() + within_seconds
    shown = replica.generations()
    goal = followed(shown, shown.wanted)
    while True:
        late = time.monotonic() > deadline
        ready = _is_ready(shown, generation, goal, compared)
        if compared and (late or ready):
            # Reading every item takes its time, and what is compared may have moved meanwhile.
            shown = replica.generations(with_hashes=True)
            ready = _is_ready(shown, generation, goal, compared)
        if late or ready:
            return _verified(followed(shown, generation), followed(shown, goal.generation), goal)
        time.sleep(ASK_SECONDS)
        shown = replica.generations()


def _is_ready(
    shown: GenerationsShown, generation: int, goal: GenerationShown, compared: bool
) -> bool:
    one, before = followed(shown, generation), followed(shown, goal.generation)
    covered = not any(_uncovered(one, goal))
    return covered and (not compared or len(_together(one, before)) == len(one.status.shards))


def followed(shown: GenerationsShown, generation: int) -> GenerationShown:
    """Raises: GenerationUnusable."""
    for one in shown.generations:
        if one.generation == generation:
            return one
    why = shown.problems.get(generation, "it was not announced, or not heard of yet")
    raise GenerationUnusable(
        f"generation {generation} is not followed by replica {shown.replica}: {why}. See "
        "`kae generation list`; announce it again when the cause is gone"
    )


def _verified(
    one: GenerationShown, before: GenerationShown, goal: GenerationShown
) -> GenerationVerified:
    same = one.status.codebook == before.status.codebook
    together = _together(one, before)
    terms_together = len(together) == len(one.status.shards)
    problems = [
        *_uncovered(one, goal),
        *_unsound(one),
        *_different(one, before, together, same),
        *_unreachable(one, before, terms_together),
    ]
    known = {term.term: term for term in before.terms}
    return GenerationVerified(
        generation=one.generation,
        against=before.generation,
        complete=not problems,
        problems=problems,
        same_codebook=same,
        compared=together,
        shards=len(one.status.shards),
        items=one.status.items,
        terms=[
            TermVerified(
                term.term,
                term.promoted,
                term.attached_items,
                term.own_items,
                known[term.term].attached_items if term.term in known else 0,
            )
            for term in one.terms
        ],
    )


def _uncovered(one: GenerationShown, goal: GenerationShown) -> Iterator[str]:
    """What the goal had read of the sources, and the generation has not."""
    shards, wanted = one.status.shards, goal.status.shards
    if len(shards) != len(wanted):
        yield f"it has {len(shards)} shards, generation {goal.generation} has {len(wanted)}"
        return
    for shard, other in zip(shards, wanted, strict=True):
        if shard.source_next_offset < other.source_next_offset:
            yield (
                f"shard {shard.shard}: items are read up to offset {shard.source_next_offset}, "
                f"generation {goal.generation} had read up to {other.source_next_offset}"
            )
        if shard.bindings_version < one.status.bindings.version:
            yield (
                f"shard {shard.shard}: has attached up to bindings version "
                f"{shard.bindings_version} of {one.status.bindings.version}"
            )
    terms, terms_wanted = one.status.bindings, goal.status.bindings
    if terms.source_next_offset < terms_wanted.source_next_offset:
        yield (
            f"terms are read up to offset {terms.source_next_offset}, generation "
            f"{goal.generation} had read up to {terms_wanted.source_next_offset}"
        )


def _unsound(one: GenerationShown) -> Iterator[str]:
    for shard in one.status.shards:
        counts = shard.counts
        if counts.read != counts.put + counts.dropped + counts.stale + counts.dead:
            yield f"shard {shard.shard}: read is not put + dropped + stale + dead: {counts}"
        if shard.paused:
            yield f"shard {shard.shard}: paused; `kae shard resume` with its topology"


def _together(one: GenerationShown, before: GenerationShown) -> list[int]:
    """The shards that have read the same items and the same terms in both."""
    terms, terms_before = one.status.bindings, before.status.bindings
    if terms.source_next_offset != terms_before.source_next_offset:
        return []

    def attached(shard: ShardShown, of: GenerationShown) -> bool:
        return shard.bindings_version >= of.status.bindings.version

    return [
        mine.shard
        for mine, other in zip(one.status.shards, before.status.shards, strict=False)
        if mine.source_next_offset == other.source_next_offset
        and attached(mine, one)
        and attached(other, before)
    ]


def _different(
    one: GenerationShown, before: GenerationShown, together: list[int], same_codebook: bool
) -> Iterator[str]:
    for number in together:
        shard, other = one.status.shards[number], before.status.shards[number]
        if shard.live != other.live:
            yield (
                f"shard {number}: {shard.live:,} items, generation {before.generation} has "
                f"{other.live:,} at the same offset"
            )
        elif same_codebook and shard.hash != other.hash:  # both are null where none were asked for
            yield (
                f"shard {number}: content {shard.hash}, generation {before.generation} has "
                f"{other.hash} with the same codebook at the same offset"
            )


def _unreachable(one: GenerationShown, before: GenerationShown, together: bool) -> Iterator[str]:
    """Terms by which the serving generation reaches items, and this one does not."""
    known: dict[str, GenerationTerm] = {term.term: term for term in one.terms}
    for other in before.terms:
        term = known.get(other.term)
        if term is None:
            yield f"term {other.term!r}: not bound; `kae term show {other.term}` says why"
        elif together and term.attached_items < other.attached_items:
            yield (
                f"term {other.term!r}: attached to {term.attached_items:,} items, generation "
                f"{before.generation} has {other.attached_items:,}"
            )
        elif term.attached_items and not term.decodable:
            yield f"term {other.term!r}: attached and not decodable"
