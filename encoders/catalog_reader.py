"""A catalog that can be read several times, and its items in batches."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from kae.encoders.items import Item
from kae.encoders.text.markup import plain_items

BATCH_ITEMS = 512
_PROGRESS_ITEMS = 1000


class CatalogReader:
    """An iterable over the same items in the same order each time, which reports progress.

    Items come with the text alone of their HTML.

    `progress` is called every _PROGRESS_ITEMS items and at the end of each pass, with the number of
    items that all passes together have read.
    """

    def __init__(
        self,
        items: Callable[[], Iterable[Item]],
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._items = items
        self._progress = progress
        self._read = 0

    def __iter__(self) -> Iterator[Item]:
        for item in self._items():
            yield from plain_items((item,))
            self._read += 1
            if self._progress and self._read % _PROGRESS_ITEMS == 0:
                self._progress(self._read)
        if self._progress:
            self._progress(self._read)


def batch_items(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield items in lists of BATCH_ITEMS, which is the cheapest way to extract them."""
    reading = iter(items)
    while batch := list(islice(reading, BATCH_ITEMS)):
        yield batch
