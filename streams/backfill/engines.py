"""Beam's options for the engine that a backfill runs on, with what kae knows better."""

from collections.abc import Sequence
from importlib.util import find_spec

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

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
