"""Beam's options for the engine that a backfill runs on, with what kae knows better.

The pipeline: parts of the input -> runs -> by shard -> stores. Only numbers travel through it.

Beam costs some microseconds an element, and a runner that shuffles keeps in memory, or sends, what
it is given. So an element is a part of some ten thousand rows, and the rows go from one half to the
other by files in the work folder.
"""

from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from kae.streams.backfill.build import build_shard
from kae.streams.backfill.encode import encode_split, setting
from kae.streams.errors import NotInstalled

# Beam knows its other runners by their short names.
DASK = "apache_beam.runners.dask.dask_runner.DaskRunner"


def engine_options(given: Sequence[str]) -> PipelineOptions:
    """Raises: NotInstalled when the engine needs an extra that is not there."""
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
    asked = PipelineOptions(options).view_as(DaskOptions)
    if asked.npartitions is None and asked.partition_size is None:
        # Dask hands elements out by 128, and one of ours is a piece of work of its own.
        options += ["--dask_partition_size", "1"]
    return PipelineOptions(options)


class EncodeSplits(beam.DoFn):
    """A split's number -> (shard, split) for every shard that it has items of."""

    def __init__(self, place: tuple[str, str]) -> None:
        self._place = place

    def process(self, split: int) -> Iterator[tuple[int, int]]:
        finished = encode_split(setting(*self._place), split)
        for shard in sorted({section.shard for section in finished.sections}):
            yield shard, split


class BuildShards(beam.DoFn):
    """(shard, its splits) -> the shard's number, once its store is there."""

    def __init__(self, place: tuple[str, str]) -> None:
        self._place = place

    def process(self, shard_splits: tuple[int, Iterable[int]]) -> Iterator[int]:
        shard, splits = shard_splits
        # -1 stands for no split, so that a shard without items has a store too.
        found = sorted({split for split in splits if split >= 0})
        yield build_shard(setting(*self._place), shard, found).shard


def run_pipeline(folder: Path, job: str, splits: int, shards: int, options: Sequence[str]) -> None:
    """Run to the end on the runner that the options name; `job` tells one job from another.

    Raises: NotInstalled; what the runner raises; the message of a RuntimeError holds the error of
    a DoFn.
    """
    place = (str(folder.absolute()), job)
    with beam.Pipeline(options=engine_options(options)) as pipeline:
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
