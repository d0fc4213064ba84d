"""The fold of the behaviours topic: the event of each request that counts, and its history.

Nothing depends on the order in which records are read. What came twice counts once, and what came
late has its place by its own time.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from kae.encoders.retriever.samples import Behaviour
from kae.streams.events.behaviours import HISTORY_ITEMS

# Why a record of the topic may be passed over.
TOMBSTONE = "a tombstone, which erases"
ERASED = "it was erased"
REPEATED = "a later event of its request counts"


class RequestEvent(msgspec.Struct, frozen=True, array_like=True):
    """An event as it is folded: `person` is the same for all requests of one person."""

    request: str
    person: str
    at_ms: int
    behaviour: Behaviour


class TopicRecord(msgspec.Struct, frozen=True, array_like=True):
    """A record of the behaviours topic; without an event it is a tombstone.

    A tombstone `beyond` the offsets that are read erases, too, and is not counted.
    """

    partition: int
    offset: int
    accepted_ms: int
    request: str
    event: RequestEvent | None
    beyond: bool = False


class FoldedRequest(msgspec.Struct, frozen=True):
    """What the records of one request come to; `passed_over` has a cause for each other record."""

    event: RequestEvent | None
    passed_over: tuple[str, ...]


def fold_request(records: Iterable[TopicRecord]) -> FoldedRequest:
    """The last event of a request.

    As the broker's compaction does: the last record of a partition counts, and a tombstone erases
    those before it there. Events in several partitions are from before partitions were added.
    """
    ordered = sorted(records, key=lambda one: (one.partition, one.offset))
    last = {one.partition: one for one in ordered}
    kept = [one for one in last.values() if one.event is not None]
    counted = max(kept, key=lambda one: (one.accepted_ms, one.partition), default=None)
    passed_over = []
    for one in ordered:
        if one.event is None:
            passed_over += [] if one.beyond else [TOMBSTONE]
        elif one is not counted:
            erased = last[one.partition].event is None
            passed_over.append(ERASED if erased else REPEATED)
    return FoldedRequest(counted.event if counted else None, tuple(passed_over))


def with_histories(events: Iterable[RequestEvent]) -> Iterator[tuple[str, Behaviour]]:
    """Each request of one person with what was chosen before it, unless it says that itself."""
    chosen: dict[str, None] = {}  # the latest last
    for event in sorted(events, key=lambda one: (one.at_ms, one.request)):
        behaviour = event.behaviour
        if not behaviour.history:
            history = tuple(islice(reversed(chosen), HISTORY_ITEMS))
            behaviour = msgspec.structs.replace(behaviour, history=history)
        yield event.request, behaviour
        for item in behaviour.chosen():
            chosen.pop(item, None)
            chosen[item] = None
