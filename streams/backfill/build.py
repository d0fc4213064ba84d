"""The second half of the pipeline: the runs of one shard are merged into its store."""

import shutil
from collections.abc import Iterator, Sequence

import msgspec

from kae.sinks.store.bulk_load import BulkItem, bulk_load
from kae.sinks.store.disk import require_space
from kae.streams.backfill.encode import FinishedSplit, JobContext, read_finished
from kae.streams.backfill.runs import Section, merge_runs
from kae.streams.backfill.work import SHARE_FOLDERS, WorkFolder, temporary_name, write_atomically
from kae.streams.errors import BackfillDiffers


class BuiltShard(msgspec.Struct, frozen=True):
    """The counts and the hash of a store that is built: read = put + dropped + stale."""

    shard: int
    read: int
    put: int
    dropped: int
    stale: int
    hash: str


def build_shard(context: JobContext, shard: int, splits: Sequence[int]) -> BuiltShard:
    """Build a shard's store from the runs of these splits, unless it is built already.

    Raises: BackfillDiffers when files that other workers wrote are missing; DiskFull.
    """
    work = context.work
    if work.built(shard).exists():
        return read_built(work, shard)
    sections = [
        section
        for split in sorted(splits)
        for section in _finished(context, split).sections
        if section.shard == shard
    ]
    require_space(work.folder, 2 * sum(section.end - section.begin for section in sections))
    folder = work.shard(shard)
    beside = temporary_name(folder)
    buffer = context.topology.stores.write_buffer_bytes
    filled = bulk_load(beside / "store", _newest(context, sections), buffer)
    read = sum(section.entries for section in sections)
    stale = read - filled.put - filled.dropped
    built = BuiltShard(shard, read, filled.put, filled.dropped, stale, filled.hash)
    write_atomically(beside / "built.json", msgspec.json.encode(built))
    if not work.built(shard).exists():  # else another worker has built it meanwhile
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    shutil.rmtree(beside, ignore_errors=True)
    return built


def read_built(work: WorkFolder, shard: int) -> BuiltShard:
    return msgspec.json.decode(work.built(shard).read_bytes(), type=BuiltShard)


def _finished(context: JobContext, split: int) -> FinishedSplit:
    try:
        return read_finished(context.work, split)
    except FileNotFoundError as error:
        raise BackfillDiffers(
            f"{context.work.finished(split)}: is not there, and another worker has written it; "
            f"{SHARE_FOLDERS}"
        ) from error


def _newest(context: JobContext, sections: Sequence[Section]) -> Iterator[BulkItem]:
    for key, revision, is_put, _, identifier, raw in merge_runs(context.work.runs, sections):
        yield BulkItem(key, revision, identifier if is_put else None, raw)
