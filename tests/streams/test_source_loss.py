"""What a shard's source may lose, what a reset costs, and that every event is accounted for."""

from dataclasses import dataclass, field
from enum import Enum
from itertools import islice

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from tests.sinks.oracle import expected_counts, expected_hash
from tests.sinks.pipeline import Pipeline, split_known

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.sinks.log.edits import Counts, SourceRange
from kae.sinks.log.protocol import MemoryLog
from kae.sinks.store.plan import Change, Delete, Upsert, payload_hash, prepare
from kae.streams.control.records import Reset
from kae.streams.control.state import RequestState
from kae.streams.kafka.source import (
    SourceBounds,
    SourcePosition,
    count_lost,
    find_break,
    is_another,
)
from kae.streams.shards.requests import (
    apply_request,
    position_of,
    reset_refusal,
    resume_refusal,
)

NAME = "kae.items/3"
FIRST, SECOND = "id-one", "id-two"


@pytest.mark.parametrize(
    ("at", "found", "said"),
    [
        (SourcePosition(44, FIRST), SourceBounds(NAME, 0, 44, FIRST), ""),
        (SourcePosition(44, FIRST), SourceBounds(NAME, 44, 60, FIRST), ""),
        (SourcePosition(0, FIRST), SourceBounds(NAME, 0, 60, SECOND), ""),
        (SourcePosition(44), SourceBounds(NAME, 0, 60, SECOND), ""),
        (
            SourcePosition(44),
            SourceBounds(NAME, 0, 10),
            (
                "kae.items/3 ends at 10, the shard goes on at 44: another topic, or one that lost "
                "its end"
            ),
        ),
        (
            SourcePosition(44, FIRST),
            SourceBounds(NAME, 0, 60, SECOND),
            (
                "kae.items/3 was deleted and made again: the shard goes on at 44 of topic id-one, "
                "and the brokers have topic id-two"
            ),
        ),
        (
            SourcePosition(44, FIRST),
            SourceBounds(NAME, 50, 60, FIRST),
            (
                "kae.items/3 begins at 50, the shard goes on at 44: 6 events were deleted before "
                "it read them"
            ),
        ),
    ],
)
def test_a_source_that_does_not_continue_is_named(
    at: SourcePosition, found: SourceBounds, said: str
) -> None:
    assert find_break(at, found) == said


@pytest.mark.parametrize(
    ("at", "found", "lost"),
    [
        (SourcePosition(44, FIRST), SourceBounds(NAME, 50, 60, FIRST), 6),
        (SourcePosition(44, FIRST), SourceBounds(NAME, 0, 60, SECOND), 0),
        (SourcePosition(44, FIRST), SourceBounds(NAME, 5, 60, SECOND), 5),
        (SourcePosition(44, FIRST), SourceBounds(NAME, 5, 10, FIRST), 0),
        (SourcePosition(44, FIRST), SourceBounds(NAME, 40, 60, FIRST), 0),
    ],
)
def test_what_is_gone_unread_is_lost_and_nothing_else(
    at: SourcePosition, found: SourceBounds, lost: int
) -> None:
    assert count_lost(at, found, found.begins_at) == lost


def test_a_loss_has_to_be_accepted() -> None:
    at, found = SourcePosition(44, FIRST), SourceBounds(NAME, 50, 60, FIRST)
    refused = reset_refusal(3, 50, at, found, accept_loss=False)
    assert "6 events of kae.items/3 before offset 50 were deleted" in refused
    assert "Give --accept-loss" in refused
    assert reset_refusal(3, 50, at, found, accept_loss=True) == ""


def test_a_reset_skips_no_event_that_the_topic_holds_whatever_is_accepted() -> None:
    at, found = SourcePosition(44, FIRST), SourceBounds(NAME, 50, 60, FIRST)
    assert "skips no event" in reset_refusal(3, 51, at, found, accept_loss=True)
    remade = SourceBounds(NAME, 0, 60, SECOND)
    assert "skips no event" in reset_refusal(3, 30, at, remade, accept_loss=True)
    assert reset_refusal(3, 0, at, remade, accept_loss=False) == ""


def test_only_a_reset_ends_a_stop() -> None:
    assert resume_refusal(3, "") == ""
    refused = resume_refusal(3, "kae.items/3 ends at 10")
    assert refused.startswith("shard 3 has stopped: kae.items/3 ends at 10. ")
    assert "`kae shard reset 3 --to-earliest`" in refused


class NoEvent(Enum):
    """What takes an offset and is never delivered."""

    MARKER = 1
    ABORTED = 2


@dataclass
class Partition:
    """A partition of the items topic; the offset of a record is its place in the list.

    A reader gets what lies before `stable_end`: behind it is a transaction that is open.
    """

    topic: int = 1
    begins_at: int = 0
    records: list[Change | NoEvent | None] = field(default_factory=list)
    open: set[int] = field(default_factory=set)
    delivered: set[int] = field(default_factory=set)

    @property
    def stable_end(self) -> int:
        return min(self.open, default=len(self.records))

    @property
    def bounds(self) -> SourceBounds:
        return SourceBounds(NAME, self.begins_at, self.stable_end, f"id-{self.topic}")

    def events(self, first: int) -> dict[int, Change | None]:
        """What a reader gets from an offset on."""
        found = enumerate(self.records[first : self.stable_end], first)
        return {at: one for at, one in found if not isinstance(one, NoEvent)}


class Losses(RuleBasedStateMachine):
    """A shard that reads a topic which loses its beginning, its end, or all of it.

    Some producers write in transactions.
    """

    codebook: Codebook
    contents: list[Item]

    def __init__(self) -> None:
        super().__init__()
        self.pipeline = Pipeline(self.codebook, MemoryLog(), MemoryLog())
        self.partition = Partition()
        self.pipeline.shard.note_topic(self.partition.bounds.topic)
        self.read_so_far: list[Change | None] = []
        self.lost = 0
        self.requests = 0

    @rule(item=st.sampled_from("abcdef"), revision=st.integers(0, 9), content=st.integers(0, 3))
    def publish(self, item: str, revision: int, content: int) -> None:
        changed = msgspec.structs.replace(self.contents[content], id=item)
        key = payload_hash(f"{content}".encode())
        self.partition.records.append(Upsert(item, revision, key, changed))

    @rule(item=st.sampled_from("abcdef"), revision=st.integers(0, 9), content=st.integers(0, 3))
    def publish_in_transaction(self, item: str, revision: int, content: int) -> None:
        self.partition.open.add(len(self.partition.records))
        self.publish(item, revision, content)

    @rule(commits=st.booleans())
    def end_transaction(self, commits: bool) -> None:
        partition = self.partition
        if not partition.open:
            return
        if not commits:
            for offset in partition.open:
                partition.records[offset] = NoEvent.ABORTED
        partition.records.append(NoEvent.MARKER)
        partition.open.clear()

    @rule(item=st.sampled_from("abcdef"), revision=st.integers(0, 9))
    def delete(self, item: str, revision: int) -> None:
        self.partition.records.append(Delete(item, revision, payload_hash(b"gone")))

    @rule()
    def publish_undecodable(self) -> None:
        self.partition.records.append(None)

    @rule(limit=st.integers(1, 5))
    def read(self, limit: int) -> None:
        shard, partition = self.pipeline.shard, self.partition
        first = shard.next_offset
        if not shard.source.reads or not partition.begins_at <= first < partition.stable_end:
            return
        events = dict(islice(partition.events(first).items(), limit))
        if not events:
            # What the shard's owner does before offsets that hold no event.
            source = msgspec.structs.replace(shard.source, next_offset=partition.stable_end)
            shard.append_source(source, self.pipeline.now()).apply()
            return
        prepared = prepare(split_known(list(events.values())), self.pipeline.encoder)
        dead = sum(change is None for change in events.values())
        plan = shard.plan_items(prepared, {})
        shard.append_items(plan, dead, max(events) + 1, self.pipeline.now()).apply()
        partition.delivered.update(events)
        self.read_so_far += events.values()

    @rule(events=st.integers(1, 6))
    def retain(self, events: int) -> None:
        partition = self.partition
        partition.begins_at = min(partition.stable_end, partition.begins_at + events)

    @rule(trimmed=st.integers(0, 2))
    def make_again(self, trimmed: int) -> None:
        self.partition = Partition(self.partition.topic + 1, trimmed, [None] * trimmed)

    @rule(events=st.integers(1, 6))
    def lose_end(self, events: int) -> None:
        partition = self.partition
        end = max(partition.begins_at, len(partition.records) - events)
        del partition.records[end:]
        partition.delivered &= set(range(end))
        partition.open &= set(range(end))
        # Nobody can tell it any more once the same topic has grown past the shard again.
        self.check()

    @rule()
    def check(self) -> None:
        """What the shard's owner does."""
        shard, found = self.pipeline.shard, self.partition.bounds
        if shard.source.stopped:
            return
        if not shard.next_offset:
            shard.note_topic(found.topic)
        cause = find_break(SourcePosition(shard.next_offset, shard.topic), found)
        if cause:
            source = msgspec.structs.replace(shard.source, topic=shard.topic, stopped=cause)
            shard.append_source(source, self.pipeline.now()).apply()

    @rule(accept_loss=st.booleans())
    def ask_for_a_reset(self, accept_loss: bool) -> None:
        self.reset(accept_loss)

    def reset(self, accept_loss: bool) -> bool:
        shard, found = self.pipeline.shard, self.partition.bounds
        at, to = SourcePosition(shard.next_offset, shard.topic), found.begins_at
        expected = self._deleted_unread(at, found)
        if reset_refusal(3, to, at, found, accept_loss=accept_loss):
            assert expected
            assert not accept_loss
            return False
        assert accept_loss or not expected
        lost = count_lost(at, found, to)
        assert lost == expected
        self.requests += 1
        asked = RequestState(self.requests, Reset(1, 3, "ann", "", 0, to, accept_loss))
        shard.note_topic(found.topic)
        source = apply_request(asked, shard.source, found.topic)
        shard.append_source(source, self.pipeline.now(), lost).apply()
        self.lost += lost
        return True

    def _deleted_unread(self, at: SourcePosition, found: SourceBounds) -> int:
        """By offsets: nobody knows which of those that are gone held an event."""
        if not is_another(at, found):
            return max(0, found.begins_at - at.next_offset)
        return found.begins_at if at.topic != found.topic else 0

    @rule()
    def hand_over(self) -> None:
        self.pipeline.pass_on().close()
        self.check()

    @invariant()
    def accounted_for(self) -> None:
        counts = self.pipeline.shard.store.state.counts
        assert counts.balanced
        assert counts == expected_counts(self.read_so_far) + Counts(self.lost, lost=self.lost)

    def teardown(self) -> None:
        """In the end the shard has everything that the topic holds."""
        self.check()
        if self.pipeline.shard.source.stopped:
            assert self.reset(True)
        self.end_transaction(False)
        while self.pipeline.shard.next_offset < self.partition.stable_end:
            self.read(5)
        self.accounted_for()
        assert self.partition.events(self.partition.begins_at).keys() <= self.partition.delivered
        assert all(
            not isinstance(self.partition.records[offset], NoEvent)
            for offset in self.partition.delivered
        )
        known = [change for change in self.read_so_far if change is not None]
        expected = expected_hash(known, [], self.pipeline.encoder)
        assert self.pipeline.shard.store.content_hash() == expected
        refolded = self.pipeline.refold()
        assert refolded.state.counts == self.pipeline.shard.store.state.counts
        refolded.close()
        self.pipeline.close()


@pytest.mark.long
def test_whatever_a_topic_loses_or_a_producer_aborts_every_event_is_accounted_for(
    codebook: Codebook, catalog: list[Item]
) -> None:
    Losses.codebook, Losses.contents = codebook, catalog[:4]
    run_state_machine_as_test(
        Losses,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_position_of_a_shard_keeps_its_topic() -> None:
    assert position_of(SourceRange(5, topic=FIRST)) == SourcePosition(5, FIRST)
