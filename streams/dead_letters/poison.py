"""A partition's batch of items, and the search for those that make its planning fail."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from kae.sinks.store.plan import Change, Prepared
from kae.sinks.store.rocks import StoreUnusable
from kae.streams.dead_letters.records import DeadLetter, SourceRecord
from kae.streams.events import causes
from kae.streams.telemetry.traces import NOTHING, Spans

log = structlog.get_logger()
T = TypeVar("T")


@dataclass(slots=True)
class ItemBatch:
    """The records of one partition that its shard has not indexed, decoded and encoded."""

    next_offset: int
    changes: list[Change] = field(default_factory=list)
    # Of `changes`; once these are prepared, of `prepared`, which may be fewer.
    records: list[SourceRecord] = field(default_factory=list)
    prepared: list[Prepared] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    spans: Spans = NOTHING

    @property
    def is_news(self) -> bool:
        return bool(self.records or self.dead)

    def without_poison(self, attempt: Callable[[Sequence[int]], T]) -> T:
        """Call `attempt` with the indices of this batch's changes; returns its result.

        Changes that it raises for are found by bisection and become dead letters.
        Raises: StoreUnusable, which is no fault of a change.
        """
        indices: Sequence[int] = range(len(self.records))
        try:
            return attempt(indices)
        except StoreUnusable:
            raise
        except Exception as error:
            log.warning("batch_halved", shard=self.records[0].partition, error=repr(error))
        poison = dict(find_poison(indices, attempt))
        for index, wrong in poison.items():
            cause = f"item: {type(wrong).__name__}: {wrong}"
            self.dead.append(DeadLetter(self.records[index], cause, causes.ITEM_UNPLANNABLE))
        sound = [index for index in indices if index not in poison]
        self.records = [self.records[index] for index in sound]
        return attempt(sound)


def find_poison(
    indices: Sequence[int], attempt: Callable[[Sequence[int]], object]
) -> Iterator[tuple[int, Exception]]:
    """The indices that `attempt` raises for, each with its error, found by bisection."""
    if not indices:
        return
    try:
        attempt(indices)
    except StoreUnusable:
        raise
    except Exception as error:
        if len(indices) == 1:
            yield indices[0], error
            return
        middle = len(indices) // 2
        yield from find_poison(indices[:middle], attempt)
        yield from find_poison(indices[middle:], attempt)
