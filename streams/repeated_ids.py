"""Ids that a feed says twice: of one revision, no row is newer than the other.

Eight bytes are kept for each id, so a feed of 100 million rows needs 0.8 GB; two ids with one hash
are as good as never met below that.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from kae.streams.catalog import RejectedRow, Row

# Hashes are kept in a set until there are so many of them, then in one sorted array.
_RECENT = 1 << 20


def reject_repeated(
    rows: Iterable[Row | RejectedRow], id_column: str
) -> Iterator[Row | RejectedRow]:
    """Pass rows on; a row whose id came before becomes a rejected one."""
    seen = _SeenIds()
    for row in rows:
        if isinstance(row, Row) and seen.note(row.item.id):
            yield RejectedRow(
                row.file,
                row.after,
                id_column,
                row.item.id,
                "an earlier row has this id",
                "keep one row for each id, or name the column that tells the newer one in "
                "catalog.revision",
                row.record,
            )
        else:
            yield row


class _SeenIds:
    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._older: NDArray[np.uint64] = np.empty(0, np.uint64)

    def note(self, item_id: str) -> bool:
        """Whether the id was noted before."""
        digest = blake2b(item_id.encode(), digest_size=8).digest()
        number = int.from_bytes(digest, "big")
        if number in self._recent or self._is_older(number):
            return True
        self._recent.add(number)
        if len(self._recent) == _RECENT:
            recent = np.fromiter(self._recent, np.uint64, _RECENT)
            self._older = np.sort(np.concatenate([self._older, recent]), kind="stable")
            self._recent = set()
        return False

    def _is_older(self, number: int) -> bool:
        place = int(np.searchsorted(self._older, np.uint64(number))) if len(self._older) else 0
        return place < len(self._older) and int(self._older[place]) == number
