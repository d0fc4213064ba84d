"""The second half of the pipeline: all runs of one shard, merged into its store."""

import shutil
from collections.abc import Iterator, Sequence

import msgspec

from kae.sinks.store.bulk_load import BulkItem, bulk_load
from kae.sinks.store.disk import require_space
from kae.streams.backfill.encode import Finished, Setting
from kae.streams.backfill.runs import Section, merged
from kae.streams.backfill.work import SHARED, beside_of, write_whole
from kae.streams.errors import BackfillDiffers


class Built(msgspec.Struct, frozen=True):
    """A shard's store as it was built: read = put + dropped + stale."""

    shard: int
    read: int
    put: int
    dropped: int
    stale: int
    hash: str


def build_shard(here: Setting, shard: int, splits: Sequence[int]) -> Built:
    """Build a shard's store of the runs of these splits; one that is there is kept.

    Raises: BackfillDiffers when what other workers wrote is not there; DiskFull.
    """
    work = here.work
    if work.built(shard).exists():
        return msgspec.json.decode(work.built(shard).read_bytes(), type=Built)
    sections = [
        section
        for split in sorted(splits)
        for section in _finished(here, split).sections
        if section.shard == shard
    ]
    require_space(work.folder, 2 * sum(section.end - section.begin for section in sections))
    folder = work.shard(shard)
    beside = beside_of(folder)
    buffer = here.topology.stores.write_buffer_bytes
    filled = bulk_load(beside / "store", _newest(here, sections), buffer)
    read = sum(section.entries for section in sections)
    stale = read - filled.put - filled.dropped
    built = Built(shard, read, filled.put, filled.dropped, stale, filled.hash)
    write_whole(beside / "built.json", msgspec.json.encode(built))
    if not work.built(shard).exists():  # else another worker was as quick
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    shutil.rmtree(beside, ignore_errors=True)
    return built


def _finished(here: Setting, split: int) -> Finished:
    path = here.work.finished(split)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Finished)
    except FileNotFoundError as error:
        raise BackfillDiffers(
            f"{path}: is not there, and another worker has written it; {SHARED}"
        ) from error


def _newest(here: Setting, sections: Sequence[Section]) -> Iterator[BulkItem]:
    for key, revision, is_put, _, identifier, raw in merged(here.work.runs, sections):
        yield BulkItem(key, revision, identifier if is_put else None, raw)
