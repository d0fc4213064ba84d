"""Behaviour files: what people asked for, were shown, clicked and ordered; a record a request.

    {"query": "red tea pot", "shown": ["1", "2"], "clicked": ["2"], "ordered": ["2"],
     "history": ["9"]}

JSON lines or Parquet, as feeds are read. Lists that are absent are empty. Samples need nothing
else; behaviour_ingest.py also sends `id`, `session`, `user` and `time`. Other columns are ignored.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from kae.encoders.retriever.samples import Behaviour
from kae.encoders.text.normal_form import normalise
from kae.streams.catalog.files import FeedFile, open_feed
from kae.streams.catalog.records import UnreadableRecord
from kae.streams.catalog.rows import open_feeds
from kae.streams.errors import SamplesInvalid

QUERY = "query"
# Why a record may be passed over.
WITHOUT_WORDS, WITHOUT_CHOICE = "its query has no words", "nothing was clicked or ordered"
LISTS = ("shown", "clicked", "ordered", "history")


class BehaviourRefused(msgspec.Struct, frozen=True):
    """A record that is no behaviour, and why."""

    file: str
    row: int
    cause: str


class BehaviourRecord(msgspec.Struct, frozen=True):
    """A record of a file, and the behaviour that it is."""

    behaviour: Behaviour
    record: Mapping[str, Any]


class ReadChoices(msgspec.Struct, frozen=True):
    """Records in which something was chosen, and how many were passed over, by cause."""

    chosen: tuple[Behaviour, ...]
    passed_over: dict[str, int]


class BehaviourPart(msgspec.Struct, frozen=True):
    """A part of a file: some row groups of Parquet, or all of a text; `before` are rows before."""

    file: int
    path: str
    groups: tuple[int, ...]
    before: int
    rows: int


def behaviour_parts(paths: Sequence[Path]) -> list[BehaviourPart]:
    """The parts of these files. Raises: CatalogInvalid."""
    parts: list[BehaviourPart] = []
    for number, feed in enumerate(open_feeds(paths) if paths else ()):
        parts += _parts_of(number, feed)
    return parts


def _parts_of(number: int, feed: FeedFile) -> Iterator[BehaviourPart]:
    path = str(feed.path.resolve())
    if not feed.row_groups:
        yield BehaviourPart(number, path, (), 0, feed.rows)
        return
    before = 0
    for group, rows in enumerate(feed.row_groups):
        yield BehaviourPart(number, path, (group,), before, rows)
        before += rows


def read_behaviour(part: BehaviourPart) -> Iterator[tuple[int, Behaviour | BehaviourRefused]]:
    """Each behaviour of a part, with its number in the file. Raises: CatalogInvalid."""
    for row, found in read_behaviour_records(part):
        yield row, found.behaviour if isinstance(found, BehaviourRecord) else found


def read_behaviour_records(
    part: BehaviourPart,
) -> Iterator[tuple[int, BehaviourRecord | BehaviourRefused]]:
    """Each record of a part, with its number in the file. Raises: CatalogInvalid."""
    records = open_feed(Path(part.path)).read_row_groups(part.groups)
    for row, record in enumerate(records, part.before + 1):
        if isinstance(record, UnreadableRecord):
            yield row, BehaviourRefused(part.path, row, record.reason)
            continue
        query = record.get(QUERY)
        lists = {name: _ids(record.get(name)) for name in LISTS}
        wrong = [name for name, ids in lists.items() if ids is None]
        if not isinstance(query, str):
            yield row, BehaviourRefused(part.path, row, "query is no text")
        elif wrong:
            yield row, BehaviourRefused(part.path, row, f"{wrong[0]} is no list of item ids")
        else:
            behaviour = Behaviour(query, **{name: ids or () for name, ids in lists.items()})
            yield row, BehaviourRecord(behaviour, record)


def read_choices(paths: Sequence[Path]) -> ReadChoices:
    """The records of these files in which something was chosen.

    Raises: CatalogInvalid; SamplesInvalid when there is none.
    """
    chosen: list[Behaviour] = []
    passed_over: Counter[str] = Counter()
    for part in behaviour_parts(paths):
        for _, found in read_behaviour(part):
            if isinstance(found, BehaviourRefused):
                passed_over[found.cause] += 1
            elif not normalise(found.query):
                passed_over[WITHOUT_WORDS] += 1
            elif not found.chosen():
                passed_over[WITHOUT_CHOICE] += 1
            else:
                chosen.append(found)
    if not chosen:
        names = ", ".join(map(str, paths))
        raise SamplesInvalid(
            f"{names}: no query with an item that was clicked or ordered; {dict(passed_over)}"
        )
    return ReadChoices(tuple(chosen), dict(passed_over))


def _ids(value: Any) -> tuple[str, ...] | None:
    """Item ids as text; None for what is no list of them."""
    if value is None:
        return ()
    if not isinstance(value, list):
        return None
    if not all(isinstance(one, str | int) and not isinstance(one, bool) for one in value):
        return None
    return tuple(map(str, value))
