"""A catalog that is read more than once, with word of how far the reading is."""

from collections.abc import Callable, Iterable, Iterator

from kae.encoders.attributes import Item

_PROGRESS_ITEMS = 1000


class Passes:
    """Passes over the same items in the same order.

    `progress` is told how many items all passes have read, now and then and at each pass's end.
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
            yield item
            self._read += 1
            if self._progress and self._read % _PROGRESS_ITEMS == 0:
                self._progress(self._read)
        if self._progress:
            self._progress(self._read)
