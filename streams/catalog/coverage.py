"""How much of a feed's fields the field mapping covers, counted while rows are read."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

import msgspec

from kae.streams.catalog.rows import FeedRow, RejectedRow

# Distinct field names that are counted; a feed with more has a column for each item.
COUNTED_FIELDS = 10_000
NAMED_FIELDS = 10


class FieldShare(msgspec.Struct, frozen=True):
    """A field, and the items that have a value in it."""

    field: str
    items: int


class MappingCoverage(msgspec.Struct, frozen=True):
    """The share of an ingest's field values that catalog.fields maps.

    `percent` = 100 * mapped_values / values; a value is one non-empty field of one item.
    """

    items: int
    values: int
    mapped_values: int
    percent: float
    wanted_percent: float  # limits.mapped_percent
    sufficient: bool
    mapped_absent: tuple[str, ...]  # mapped fields that no item has
    unmapped_common: tuple[FieldShare, ...]  # the most frequent, of those that most items have

    @property
    def warning(self) -> str:
        """The warning for insufficient coverage, in one line."""
        text = (
            f"catalog.fields covers {self.percent:g}% of the {self.values:,} values in the fields "
            f"of {self.items:,} items, less than limits.mapped_percent ({self.wanted_percent:g}%)"
        )
        if self.mapped_absent:
            text += f"; no item has {_names(self.mapped_absent)}"
        if self.unmapped_common:
            names = tuple(share.field for share in self.unmapped_common)
            text += f"; most items have {_names(names)}, which the mapping leaves out"
        return text + "; `kae catalog inspect FILE` proposes a mapping"


class CoverageCount:
    """Counts the fields of items and how many of them are mapped."""

    def __init__(self, fields: Mapping[str, str], wanted_percent: float) -> None:
        self._fields = fields
        self._wanted = wanted_percent
        self._items = 0
        self._having: Counter[str] = Counter()

    def count(self, rows: Iterable[FeedRow | RejectedRow]) -> Iterator[FeedRow | RejectedRow]:
        """Yield the rows, counting the fields of items."""
        for row in rows:
            if isinstance(row, FeedRow):
                self._items += 1
                known = len(self._having) < COUNTED_FIELDS
                names = row.item.fields.keys()
                self._having.update(names if known else names & self._having.keys())
            yield row

    def result(self) -> MappingCoverage:
        values = self._having.total()
        mapped = sum(items for name, items in self._having.items() if name in self._fields)
        percent = 100 * mapped / values if values else 100.0
        common = (
            FieldShare(name, items)
            for name, items in self._having.most_common()
            if name not in self._fields and 2 * items > self._items
        )
        return MappingCoverage(
            items=self._items,
            values=values,
            mapped_values=mapped,
            percent=round(percent, 1),
            wanted_percent=self._wanted,
            sufficient=percent >= self._wanted,
            mapped_absent=tuple(sorted(self._fields.keys() - self._having.keys())),
            unmapped_common=tuple(islice(common, NAMED_FIELDS)),
        )


def _names(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:NAMED_FIELDS])
    left = len(names) - NAMED_FIELDS
    return f"{shown} and {left} more" if left > 0 else shown
