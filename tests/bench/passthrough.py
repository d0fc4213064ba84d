"""The least that a Beam pipeline can do with the same Parquet: read it in batches, and count."""

from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
from apache_beam.io import ReadFromParquetBatched
from apache_beam.options.pipeline_options import PipelineOptions


def count_rows(feed: Path, options: Sequence[str]) -> None:
    """Run a pipeline that counts the rows of a file."""
    with beam.Pipeline(options=PipelineOptions(list(options))) as pipeline:
        _counted = (
            pipeline
            | ReadFromParquetBatched(str(feed))
            | beam.Map(lambda table: table.num_rows)
            | beam.CombineGlobally(sum)
        )
