"""Verify that a generation is as complete as the one that serves."""

import time
from collections.abc import Iterator, Sequence

from kafka import TopicPartition

from kae.streams.errors import GenerationUnusable
from kae.streams.generations.answers import GenerationVerified, TermVerified
from kae.streams.kafka.connection import reached_brokers
from kae.streams.kafka.log import KafkaClients
from kae.streams.replica_api.client import ReplicaClient
from kae.streams.replica_api.status import (
    GenerationShown,
    GenerationsShown,
    GenerationTerm,
    ShardShown,
)
from kae.streams.topology.types import Topology

POLL_SECONDS = 0.1
# How long a replica may take to read an announcement that was made just before.
ANNOUNCED_SECONDS = 5.0


def verify_generation(
    replica: ReplicaClient,
    generation: int,
    within_seconds: float,
    *,
    compared: bool = True,
    added_ends: Sequence[int] = (),
) -> GenerationVerified:
    """Compare a generation with the one that serves, as one replica follows both.

    It has `within_seconds` to read what the serving one has read at the start and, if items are
    `compared`, to reach the same offsets. Of partitions that only this generation reads, it has to
    reach `added_ends`; shards of other numbers hold other items, so none are compared then.
    Raises: ReplicaUnreachable; GenerationUnusable when the replica does not follow it.
    """
    deadline = time.monotonic() + within_seconds
    shown = replica.generations()
    goal = find_followed(shown, shown.wanted)
    while True:
        late = time.monotonic() > deadline
        ready = _is_ready(shown, generation, goal, compared, added_ends)
        if compared and (late or ready):
            # Hashing reads every item; the offsets may have moved meanwhile.
            shown = replica.generations(with_hashes=True)
            ready = _is_ready(shown, generation, goal, compared, added_ends)
        if late or ready:
            return _verified(
                find_followed(shown, generation),
                find_followed(shown, goal.generation),
                goal,
                added_ends,
            )
        time.sleep(POLL_SECONDS)
        shown = replica.generations()


def read_added_ends(topology: Topology, replica: ReplicaClient, generation: int) -> tuple[int, ...]:
    """The ends of the items partitions that a generation reads and the serving one does not.

    Raises: ReplicaUnreachable, GenerationUnusable, KafkaUnreachable.
    """
    shown = _announced(replica, generation)
    one, serving = find_followed(shown, generation), find_followed(shown, shown.wanted)
    added = range(len(serving.status.shards), len(one.status.shards))
    places = [TopicPartition(topology.items_topic, number) for number in added]
    if not places:
        return ()
    with (
        KafkaClients.for_reading(topology, "verify") as clients,
        reached_brokers(topology),
        clients.borrowed_consumer() as consumer,
    ):
        ends = consumer.end_offsets(places)
    return tuple(ends[place] for place in places)


def _announced(replica: ReplicaClient, generation: int) -> GenerationsShown:
    """What the replica follows, once it has read about the generation."""
    deadline = time.monotonic() + ANNOUNCED_SECONDS
    while True:
        shown = replica.generations()
        read = {*shown.problems, *(one.generation for one in shown.generations)}
        if generation in read or time.monotonic() > deadline:
            return shown
        time.sleep(POLL_SECONDS)


def _is_ready(
    shown: GenerationsShown,
    generation: int,
    goal: GenerationShown,
    compared: bool,
    added_ends: Sequence[int],
) -> bool:
    one, serving = find_followed(shown, generation), find_followed(shown, goal.generation)
    if any(_uncovered(one, goal, added_ends)):
        return False
    comparable = compared and len(one.status.shards) == len(serving.status.shards)
    return not comparable or len(_at_same_offsets(one, serving)) == len(one.status.shards)


def find_followed(shown: GenerationsShown, generation: int) -> GenerationShown:
    """Raises: GenerationUnusable."""
    for one in shown.generations:
        if one.generation == generation:
            return one
    why = shown.problems.get(
        generation, "it was not announced, or its announcement is not read yet"
    )
    raise GenerationUnusable(
        f"generation {generation} is not followed by replica {shown.replica}: {why}. See "
        "`kae generation list`; announce it again once the cause is removed"
    )


def _verified(
    one: GenerationShown,
    serving: GenerationShown,
    goal: GenerationShown,
    added_ends: Sequence[int],
) -> GenerationVerified:
    same = one.status.codebook == serving.status.codebook
    same_offsets = _at_same_offsets(one, serving)
    all_same_offsets = len(same_offsets) == len(one.status.shards)
    problems = [
        *_uncovered(one, goal, added_ends),
        *_unsound(one),
        *_different(one, serving, same_offsets, same),
        *_unreachable(one, serving, all_same_offsets),
    ]
    known = {term.term: term for term in serving.terms}
    return GenerationVerified(
        generation=one.generation,
        against=serving.generation,
        complete=not problems,
        problems=problems,
        same_codebook=same,
        compared=same_offsets,
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


def _uncovered(
    one: GenerationShown, goal: GenerationShown, added_ends: Sequence[int]
) -> Iterator[str]:
    """What the goal has read of the items and terms topics, and the generation has not."""
    shards, wanted = one.status.shards, goal.status.shards
    if len(shards) < len(wanted):
        yield (
            f"it has {len(shards)} shards and reads as many partitions of the items topic, "
            f"generation {goal.generation} reads {len(wanted)}"
        )
        return
    had_read = f"generation {goal.generation} had read up to"
    ends = [(had_read, other.source_next_offset) for other in wanted]
    ends += [("the topic ended at", end) for end in added_ends]
    for shard, (who, end) in zip(shards, ends, strict=False):
        if shard.source_next_offset < end:
            yield (
                f"shard {shard.shard}: items are read up to offset {shard.source_next_offset}, "
                f"{who} {end}"
            )
    for shard in shards:
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
        if not counts.balanced:
            yield f"shard {shard.shard}: read is not put + dropped + stale + dead + lost: {counts}"
        if shard.paused:
            yield f"shard {shard.shard}: paused; `kae shard resume` with its topology"


def _at_same_offsets(one: GenerationShown, serving: GenerationShown) -> list[int]:
    """The shards that have read the same items and the same terms in both generations."""
    if len(one.status.shards) != len(serving.status.shards):
        return []
    terms, terms_serving = one.status.bindings, serving.status.bindings
    if terms.source_next_offset != terms_serving.source_next_offset:
        return []

    def attached(shard: ShardShown, of: GenerationShown) -> bool:
        return shard.bindings_version >= of.status.bindings.version

    return [
        mine.shard
        for mine, other in zip(one.status.shards, serving.status.shards, strict=True)
        if mine.source_next_offset == other.source_next_offset
        and attached(mine, one)
        and attached(other, serving)
    ]


def _different(
    one: GenerationShown, serving: GenerationShown, same_offsets: list[int], same_codebook: bool
) -> Iterator[str]:
    for number in same_offsets:
        shard, other = one.status.shards[number], serving.status.shards[number]
        if shard.live != other.live:
            yield (
                f"shard {number}: {shard.live:,} items, generation {serving.generation} has "
                f"{other.live:,} at the same offset"
            )
        elif same_codebook and shard.hash != other.hash:  # both null without hashes
            yield (
                f"shard {number}: content {shard.hash}, generation {serving.generation} has "
                f"{other.hash} with the same codebook at the same offset"
            )


def _unreachable(
    one: GenerationShown, serving: GenerationShown, same_offsets: bool
) -> Iterator[str]:
    """Terms that lead to fewer items here than in the serving generation, or to none."""
    known: dict[str, GenerationTerm] = {term.term: term for term in one.terms}
    for other in serving.terms:
        term = known.get(other.term)
        if term is None:
            yield f"term {other.term!r}: not bound; `kae term show {other.term}` says why"
        elif same_offsets and term.attached_items < other.attached_items:
            yield (
                f"term {other.term!r}: attached to {term.attached_items:,} items, generation "
                f"{serving.generation} has {other.attached_items:,}"
            )
        elif term.attached_items and not term.decodable:
            yield f"term {other.term!r}: attached and not decodable"
