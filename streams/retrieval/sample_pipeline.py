"""The Beam pipeline: items and behaviour are joined by item id, and become samples.

    the behaviours topic -> by request, the last -> by person, its history -> behaviour

    items ------------------+                +-> samples of items (S1) --------+
                            +-> by item id --+                                 |
    behaviour -> its items -+                +-> by row, with its items: S1-S3 +-> by part -> files
    words -> S0,   reserved slots and some items -> self-routing (S3) ---------+

Each element that is read is counted once, as used or as passed over for a cause. The samples of a
part are sorted before they are written, so the order in which a runner works does not matter.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import AsSingleton
from apache_beam.transforms.combiners import Top

from kae.encoders.categories import Identifier
from kae.encoders.retriever.samples import Behaviour, SampledItem
from kae.streams.backfill.pipeline import beam_options
from kae.streams.retrieval.sample_job import samples_context
from kae.streams.retrieval.sample_steps import (
    COUNTED,
    FOUND,
    ROUTED_ITEMS,
    AddHistories,
    FoldRequests,
    ReadBehaviour,
    ReadItems,
    ReadTopic,
    SampleBehaviour,
    SampleItems,
    SampleWords,
    WriteCounts,
    WriteParts,
)


def run_samples_pipeline(folder: Path, options: Sequence[str]) -> None:
    """Run the job of a folder on the runner that the options name."""
    place = str(folder.absolute())
    job = samples_context(place).job
    with beam.Pipeline(options=beam_options(options)) as pipeline:
        items, item_counts = _split(
            pipeline
            | "item parts" >> beam.Create(range(len(job.items)), reshuffle=True)
            | "read items" >> beam.ParDo(ReadItems(place)).with_outputs(COUNTED, main="rest")
        )
        rows, row_counts = _split(
            pipeline
            | "behaviour parts" >> beam.Create(range(len(job.behaviour)), reshuffle=True)
            | "read behaviour"
            >> beam.ParDo(ReadBehaviour(place)).with_outputs(COUNTED, main="rest")
        )
        told, topic_counts = _read_topic(pipeline, place, job.behaviours)
        rows = (rows, told) | "all behaviour" >> beam.Flatten()
        wanted = rows | "their items" >> beam.FlatMap(_wanted)
        joined = (
            {"items": items, "rows": wanted}
            | "by item" >> beam.CoGroupByKey()
            | "sample items"
            >> beam.ParDo(SampleItems(place)).with_outputs(COUNTED, FOUND, main="rest")
        )
        asked = (
            {"row": rows, "found": joined[FOUND]}
            | "by row" >> beam.CoGroupByKey()
            | "sample behaviour"
            >> beam.ParDo(SampleBehaviour(place)).with_outputs(COUNTED, main="rest")
        )
        some = (
            items
            | "hash" >> beam.Map(_hashed, job.seed)
            | "some items" >> Top.Smallest(ROUTED_ITEMS)
            | "identifiers" >> beam.Map(lambda found: [identifier for _, identifier in found])
        )
        words = (
            pipeline
            | "codebook" >> beam.Create([None])
            | "sample words"
            >> beam.ParDo(SampleWords(place), AsSingleton(some)).with_outputs(COUNTED, main="rest")
        )
        _parts = (
            (joined["rest"], asked["rest"], words["rest"])
            | "samples" >> beam.Flatten()
            | "by part" >> beam.GroupByKey()
            | "write" >> beam.ParDo(WriteParts(place))
        )
        _counts = (
            (
                item_counts,
                row_counts,
                *topic_counts,
                joined[COUNTED],
                asked[COUNTED],
                words[COUNTED],
            )
            | "counts" >> beam.Flatten()
            | "add up" >> beam.CombinePerKey(sum)
            | "all counts" >> beam.WithKeys(None)
            | "together" >> beam.GroupByKey()
            | "write counts" >> beam.ParDo(WriteCounts(place))
        )


def _read_topic(pipeline: Any, place: str, files: Sequence[str]) -> tuple[Any, tuple[Any, Any]]:
    """The rows of the behaviours topic, and their counts."""
    folded, folded_counts = _split(
        pipeline
        | "topic files" >> beam.Create(files, reshuffle=True)
        | "read topic" >> beam.ParDo(ReadTopic(place))
        | "by request" >> beam.GroupByKey()
        | "fold" >> beam.ParDo(FoldRequests(place)).with_outputs(COUNTED, main="rest")
    )
    rows, row_counts = _split(
        folded
        | "by person" >> beam.GroupByKey()
        | "histories" >> beam.ParDo(AddHistories(place)).with_outputs(COUNTED, main="rest")
    )
    return rows, (folded_counts, row_counts)


def _split(outputs: Any) -> tuple[Any, Any]:
    return outputs["rest"], outputs[COUNTED]


def _wanted(row: tuple[str, Behaviour]) -> Iterator[tuple[str, str]]:
    key, behaviour = row
    for item in dict.fromkeys((*behaviour.chosen(), *behaviour.history)):
        yield item, key


def _hashed(item: tuple[str, tuple[Any, SampledItem]], seed: int) -> tuple[bytes, Identifier]:
    """What chooses some of all items in the same way on every runner."""
    hashed = blake2b(f"{seed} {item[0]}".encode(), digest_size=16).digest()
    return hashed, item[1][1].identifier
