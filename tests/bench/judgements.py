"""Judged queries: a CSV file with the header `query,docid,rating`, a line for each judged item."""

import csv
from collections.abc import Mapping
from pathlib import Path

from kae.streams.errors import KaeError

HEADER = ["query", "docid", "rating"]
# Gains grow as powers of two; above this a rating is a mistake.
MOST_RATING = 100

Ratings = Mapping[str, float]  # by item id; above 0 is relevant


class JudgementsInvalid(KaeError):
    """A file that is no judgement file."""


def read_judgements(path: Path) -> dict[str, Ratings]:
    """The ratings of each query, in the file's order; of an item judged twice the higher one holds.

    Raises: JudgementsInvalid.
    """
    queries: dict[str, dict[str, float]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            header = next(rows, [])
            if header != HEADER:
                raise JudgementsInvalid(
                    f"{path}: its header is {','.join(header)!r}; begin it with {','.join(HEADER)}"
                )
            for row in rows:
                query, item, rating = _judged(path, rows.line_num, row)
                ratings = queries.setdefault(query, {})
                ratings[item] = max(rating, ratings.get(item, 0.0))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise JudgementsInvalid(f"{path}: {error}; give a CSV file in UTF-8") from None
    return dict(queries)


def _judged(path: Path, line: int, row: list[str]) -> tuple[str, str, float]:
    """Raises: JudgementsInvalid."""
    rating = _rating(row[2]) if len(row) == len(HEADER) else None
    if rating is None:
        raise JudgementsInvalid(
            f"{path}:{line}: {','.join(row)!r} is no judgement; write query,docid,rating with a "
            f"rating of 0 to {MOST_RATING}"
        )
    return row[0], row[1], rating


def _rating(text: str) -> float | None:
    try:
        rating = float(text)
    except ValueError:
        return None
    return rating if 0 <= rating <= MOST_RATING else None
