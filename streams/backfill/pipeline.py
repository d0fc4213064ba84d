"""The Beam pipeline: splits of the input -> runs -> grouped by shard -> stores.

Beam costs some microseconds for each element, and a runner that shuffles sends elements or keeps
them in memory. So the elements are numbers of splits and shards; the rows, tens of thousands in a
split, go from one half to the other in files of the work folder.
"""

from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from kae.streams.backfill.build import build_shard
from kae.streams.backfill.encode import encode_split, job_context
from kae.streams.errors import NotInstalled

# Beam knows its other runners by short names.
DASK = "apache_beam.runners.dask.dask_runner.DaskRunner"


def beam_options(given: Sequence[str]) -> PipelineOptions:
    """Raises: NotInstalled when the runner needs an extra that is not installed."""
    options = PipelineOptions(list(given))
    runner = str(options.view_as(StandardOptions).runner)
    if runner.lower() in ("dask", "daskrunner", DASK.lower()):
        return _for_dask(given)
    return options


def _for_dask(given: Sequence[str]) -> PipelineOptions:
    if find_spec("distributed") is None:
        raise NotInstalled(
            "--runner DaskRunner needs the module distributed, which is not installed; "
            "in a clone: make setup; elsewhere, and on each of the workers: pip install 'kae[dask]'"
        )
    from apache_beam.runners.dask.dask_runner import DaskOptions

    options = [*given, "--runner", DASK]
    dask = PipelineOptions(options).view_as(DaskOptions)
    if dask.npartitions is None and dask.partition_size is None:
        # Dask hands out 128 elements at a time, and each of ours is a lot of work.
        options += ["--dask_partition_size", "1"]
    return PipelineOptions(options)


class EncodeSplits(beam.DoFn):
    """A split's number -> (shard, split) for every shard that the split has items of."""

    def __init__(self, place: tuple[str, str]) -> None:
        self._place = place

    def process(self, split: int) -> Iterator[tuple[int, int]]:
        finished = encode_split(job_context(*self._place), split)
        for shard in sorted({section.shard for section in finished.sections}):
            yield shard, split


class BuildShards(beam.DoFn):
    """(shard, its splits) -> the shard's number, once its store is built."""

    def __init__(self, place: tuple[str, str]) -> None:
        self._place = place

    def process(self, shard_splits: tuple[int, Iterable[int]]) -> Iterator[int]:
        shard, splits = shard_splits
        # -1 stands for no split, so that a shard without items gets a store, too.
        found = sorted({split for split in splits if split >= 0})
        yield build_shard(job_context(*self._place), shard, found).shard


def run_pipeline(folder: Path, job: str, splits: int, shards: int, options: Sequence[str]) -> None:
    """Run on the runner that the options name; `job` is the digest of the job.

    Raises: NotInstalled; what the runner raises, such as a RuntimeError whose message holds the
    error of a DoFn.
    """
    place = (str(folder.absolute()), job)
    with beam.Pipeline(options=beam_options(options)) as pipeline:
        encoded = (
            pipeline
            | "splits" >> beam.Create(range(splits), reshuffle=True)
            | "encode" >> beam.ParDo(EncodeSplits(place))
        )
        all_shards = pipeline | "shards" >> beam.Create([(shard, -1) for shard in range(shards)])
        _built = (
            (encoded, all_shards)
            | beam.Flatten()
            | "by shard" >> beam.GroupByKey()
            | "build" >> beam.ParDo(BuildShards(place))
        )
