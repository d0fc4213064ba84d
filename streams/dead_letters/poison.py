"""The batch of one partition, and the search for the events in it that make it fail."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from kae.sinks.store.plan import Change, Prepared
from kae.streams.dead_letters.records import DeadLetter, SourceRecord
from kae.streams.events import causes
from kae.streams.telemetry.traces import NOTHING, Spans

log = structlog.get_logger()
T = TypeVar("T")


@dataclass(slots=True)
class ItemBatch:
    """The records of one partition that are news to its shard, decoded and encoded."""

    next_offset: int
    changes: list[Change] = field(default_factory=list)
    # Those of `changes`, and then those of `prepared`, which may be fewer.
    records: list[SourceRecord] = field(default_factory=list)
    prepared: list[Prepared] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    spans: Spans = NOTHING

    @property
    def is_news(self) -> bool:
        return bool(self.records or self.dead)

    def without_poison(self, attempt: Callable[[Sequence[int]], T]) -> T:
        """What `attempt` makes of this batch's changes, named by their places.

        The changes that it fails for are found by halving and go to the dead letters.
        """
        places: Sequence[int] = range(len(self.records))
        try:
            return attempt(places)
        except Exception as error:
            log.warning("batch_halved", shard=self.records[0].partition, error=repr(error))
        poison = dict(find_poison(places, attempt))
        for place, wrong in poison.items():
            cause = f"item: {type(wrong).__name__}: {wrong}"
            self.dead.append(DeadLetter(self.records[place], cause, causes.ITEM_UNPLANNABLE))
        sound = [place for place in places if place not in poison]
        self.records = [self.records[place] for place in sound]
        return attempt(sound)


def find_poison(
    places: Sequence[int], attempt: Callable[[Sequence[int]], object]
) -> Iterator[tuple[int, Exception]]:
    """Find the places that `attempt` fails for, each with its error, by halving."""
    if not places:
        return
    try:
        attempt(places)
    except Exception as error:
        if len(places) == 1:
            yield places[0], error
            return
        middle = len(places) // 2
        yield from find_poison(places[:middle], attempt)
        yield from find_poison(places[middle:], attempt)
