"""The job: everything that determines the result of a backfill, saved before a row is read.

Every process that works on it reads it from the work folder. An interrupted backfill goes on only
with the same job.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from kae.streams.backfill.work import WorkFolder, write_atomically
from kae.streams.catalog.files import FeedFile
from kae.streams.catalog.rows import open_catalog
from kae.streams.errors import BackfillDiffers
from kae.streams.topology.types import Topology

FORMAT = 1


class InputFile(msgspec.Struct, frozen=True):
    """A feed file as it was when the job began."""

    path: str
    bytes: int
    changed_ns: int


class RowsSplit(msgspec.Struct, frozen=True, tag="rows"):
    """A part of the input: some row groups of a file, or a whole text file."""

    file: int
    groups: tuple[int, ...]
    before: int  # rows of the file before these
    rows: int


class EventsSplit(msgspec.Struct, frozen=True, tag="events"):
    """A part of the input: a range of one partition of the items topic, without `end`."""

    partition: int
    begin: int
    end: int

    @property
    def rows(self) -> int:
        return self.end - self.begin


Split = RowsSplit | EventsSplit


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is built from what; `next_offsets` has an offset of the items topic for each shard."""

    format: int = FORMAT
    generation: int
    shards: int
    fingerprint: str
    revision: int  # of rows that have none
    as_of_ms: int
    next_offsets: tuple[int, ...]
    files: tuple[InputFile, ...]
    splits: tuple[Split, ...]
    # Of generations before partitions were added to the items topic.
    earlier_shards: tuple[int, ...] = ()

    @property
    def rows(self) -> int:
        return sum(split.rows for split in self.splits)

    @property
    def digest(self) -> str:
        """What identifies this job; the same as before, where no partitions were added."""
        content = msgspec.to_builtins(self)
        if not self.earlier_shards:
            del content["earlier_shards"]
        return blake2b(msgspec.json.encode(content), digest_size=16).hexdigest()


def split_catalog(paths: Sequence[Path], topology: Topology, rows: int) -> Iterator[RowsSplit]:
    """Split feed files into parts of about `rows` rows, of at least one row group each.

    Raises: CatalogInvalid.
    """
    for number, feed in enumerate(open_catalog(paths, topology.catalog)):
        if feed.row_groups:
            yield from _by_groups(number, feed, rows)
        else:
            yield RowsSplit(number, (), 0, feed.rows)


def _by_groups(number: int, feed: FeedFile, rows: int) -> Iterator[RowsSplit]:
    taken: list[int] = []
    before = size = 0
    for group, group_rows in enumerate(feed.row_groups):
        if taken and size + group_rows > rows:
            yield RowsSplit(number, tuple(taken), before, size)
            before, size, taken = before + size, 0, []
        taken.append(group)
        size += group_rows
    if taken:
        yield RowsSplit(number, tuple(taken), before, size)


def input_files(paths: Sequence[Path]) -> tuple[InputFile, ...]:
    """The files as they are now."""
    stats = [(path.resolve(), path.stat()) for path in paths]
    return tuple(InputFile(str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats)


def save(job: Job, work: WorkFolder) -> None:
    write_atomically(work.job, msgspec.json.format(msgspec.json.encode(job), indent=1) + b"\n")


def load(work: WorkFolder) -> Job | None:
    """The job in a work folder, if there is one.

    Raises: BackfillDiffers when another release wrote it.
    """
    if not work.job.exists():
        return None
    try:
        job = msgspec.json.decode(work.job.read_bytes(), type=Job)
    except msgspec.DecodeError as error:
        raise BackfillDiffers(f"{work.job}: {error}; begin anew with --restart") from error
    if job.format != FORMAT:
        raise BackfillDiffers(
            f"{work.job}: format {job.format}, this kae has {FORMAT}; begin anew with --restart"
        )
    return job


def check_same_job(found: Job, wanted: Job, work: WorkFolder) -> None:
    """Raises: BackfillDiffers when an interrupted job is not the wanted one."""
    for name in ("generation", "shards", "fingerprint", "files", "splits"):
        was, now = getattr(found, name), getattr(wanted, name)
        if was != now:
            raise BackfillDiffers(
                f"{work.folder}: the backfill that was begun there has other {name}: "
                f"{_shortened(was)}, now {_shortened(now)}. Give what it was begun with, another "
                "--work folder, or --restart to drop what it did"
            )


def _shortened(value: object) -> str:
    text = str(value)
    return text if len(text) <= 120 else f"{text[:120]}..."
