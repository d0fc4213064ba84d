"""The Beam pipeline: items and behaviour are joined by item id, and become samples.

    the behaviours topic -> by request, the last -> by person, its history -> behaviour

    items ------------------+                +-> samples of items (S1) --------+
                            +-> by item id --+                                 |
    behaviour -> its items -+                +-> by row, with its items: S1-S3 +-> by part -> files
    words -> S0,   reserved slots and some items -> self-routing (S3) ---------+

Each element that is read is counted once, as used or as passed over for a cause. The samples of a
part are sorted before they are written, so the order in which a runner works does not matter.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zlib import crc32

import apache_beam as beam
import msgspec
from apache_beam.pvalue import AsSingleton, TaggedOutput
from apache_beam.transforms.combiners import Top

from kae.encoders.categories import POSITIONS, Identifier
from kae.encoders.retriever.samples import (
    STAGE_OF,
    Behaviour,
    Sample,
    SampledItem,
    behaviour_samples,
    item_samples,
    routing_samples,
    word_samples,
)
from kae.encoders.text.normal_form import normalise
from kae.streams.backfill.pipeline import beam_options
from kae.streams.backfill.work import write_atomically
from kae.streams.retrieval.behaviour import (
    WITHOUT_CHOICE,
    WITHOUT_WORDS,
    BehaviourRefused,
    read_behaviour,
)
from kae.streams.retrieval.behaviour_export import read_exported
from kae.streams.retrieval.behaviour_fold import (
    RequestEvent,
    TopicRecord,
    fold_request,
    with_histories,
)
from kae.streams.retrieval.sample_files import write_part
from kae.streams.retrieval.sample_job import SamplesContext, samples_context

COUNTS = "counts.json"
_COUNTS = "counts"
_FOUND = "found"
# Items whose identifiers self-routing samples lead to.
ROUTED_ITEMS = 4096
# Where a sample stands among those of its part.
SampleKey = tuple[int, str, int]
Placed = tuple[tuple[str, int], tuple[SampleKey, Sample]]
# The kinds of input, in the order of their samples.
KINDS = ("words", "items", "behaviour", "reserved")
_Count = tuple[tuple[str, str], int]
USED = "used"


class _InContext(beam.DoFn):
    """A step that needs the job."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    @property
    def context(self) -> SamplesContext:
        return samples_context(self._folder)

    def place(self, kind: str, key: str, samples: Iterable[Sample]) -> Iterator[Placed]:
        """Samples of one element, each with its part and its place there."""
        part = crc32(key.encode()) % self.context.job.parts
        number = KINDS.index(kind)
        for nth, sample in enumerate(samples):
            yield (STAGE_OF[sample.task], part), ((number, key, nth), sample)


class ReadItems(_InContext):
    """The number of a part -> (id, (where it stands, item))."""

    def process(self, part: int) -> Iterator[Any]:
        for number, item in self.context.read_items(self.context.job.items[part]):
            if item is None:
                yield _count("items", "no item")
            else:
                yield item.id, ((part, number), item)


class ReadBehaviour(_InContext):
    """The number of a part -> (row, behaviour)."""

    def process(self, part: int) -> Iterator[Any]:
        where = self.context.job.behaviour[part]
        for number, row in read_behaviour(where):
            if isinstance(row, BehaviourRefused):
                yield _count("behaviour", row.cause)
            else:
                yield _to_sample(f"{where.file:06d}/{number:012d}", row)


class ReadTopic(_InContext):
    """The name of a file -> (request, record of the behaviours topic)."""

    def process(self, name: str) -> Iterator[tuple[str, TopicRecord]]:
        for record in read_exported(self.context.folder / name):
            yield record.request, record


class FoldRequests(_InContext):
    """(request, its records) -> (person, event)."""

    def process(self, group: tuple[str, Iterable[TopicRecord]]) -> Iterator[Any]:
        folded = fold_request(group[1])
        for cause in folded.passed_over:
            yield _count("behaviour", cause)
        if folded.event is not None:
            yield folded.event.person, folded.event


class AddHistories(_InContext):
    """(person, events) -> (row, behaviour)."""

    def process(self, group: tuple[str, Iterable[RequestEvent]]) -> Iterator[Any]:
        for request, behaviour in with_histories(group[1]):
            yield _to_sample(f"topic/{request}", behaviour)


class SampleItems(_InContext):
    """(id, items, rows) -> samples of the item; as `found`, (row, item) for each row."""

    def process(self, joined: tuple[str, Mapping[str, Iterable[Any]]]) -> Iterator[Any]:
        item_id, sides = joined
        items = sorted(sides["items"], key=lambda one: one[0])
        for _ in items[1:]:
            yield _count("items", "its id came before")
        if not items:
            return
        item: SampledItem = items[0][1]
        yield from (TaggedOutput(_FOUND, (row, item)) for row in sorted(set(sides["rows"])))
        samples = [*item_samples(item, self.context.identify, self.context.weight_of)]
        yield _count("items", USED if samples else "its title has no words")
        yield from self.place("items", item_id, samples)


class SampleBehaviour(_InContext):
    """(row, behaviour, items) -> samples of the row."""

    def process(self, joined: tuple[str, Mapping[str, Iterable[Any]]]) -> Iterator[Any]:
        key, sides = joined
        (row,) = sides["row"]
        found = {item.id: item for item in sides["found"]}
        samples = [*behaviour_samples(row, found, self.context.identify)]
        yield _count("behaviour", USED if samples else "none of its items is known")
        yield from self.place("behaviour", key, samples)


class SampleWords(_InContext):
    """The codebook's words -> S0; reserved slots and identifiers -> self-routing."""

    def process(self, _: None, identifiers: Sequence[Identifier]) -> Iterator[Any]:
        codebook, job = self.context.codebook, self.context.job
        without = sum(1 for word in codebook.words if not word.index)
        yield _count("words", USED, len(codebook.words) - without)
        if without:
            yield _count("words", "has no slot", without)
        for number, sample in enumerate(word_samples(codebook)):
            yield from self.place("words", f"{number:09d}", [sample])
        reserved = [codebook.reserved(position) for position in range(POSITIONS)]
        slots = sum(map(len, reserved))
        if not identifiers or not job.routing_each:
            cause = "there are no items" if job.routing_each else "routing.each is 0"
            yield _count("reserved", cause, slots)
            return
        yield _count("reserved", USED, slots)
        routed = routing_samples(
            reserved, identifiers, each=job.routing_each, form=job.routing_form, seed=job.seed
        )
        for number, sample in enumerate(routed):
            yield from self.place("reserved", f"{number:09d}", [sample])


class WriteParts(_InContext):
    """((stage, part), its samples) -> the name of its file."""

    def process(
        self, group: tuple[tuple[str, int], Iterable[tuple[SampleKey, Sample]]]
    ) -> Iterator[str]:
        (stage, part), placed = group
        name = f"{stage}/part-{part:04d}.parquet"
        samples = [sample for _, sample in sorted(placed, key=lambda one: one[0])]
        write_part(self.context.folder / name, samples)
        yield name


class WriteCounts(_InContext):
    """All counts -> a file."""

    def process(self, group: tuple[None, Iterable[_Count]]) -> Iterator[str]:
        counts: dict[str, dict[str, int]] = {}
        for (kind, outcome), number in sorted(group[1]):
            counts.setdefault(kind, {})[outcome] = number
        write_atomically(self.context.folder / COUNTS, msgspec.json.encode(counts))
        yield COUNTS


def run_samples_pipeline(folder: Path, options: Sequence[str]) -> None:
    """Run the job of a folder on the runner that the options name."""
    place = str(folder.absolute())
    job = samples_context(place).job
    with beam.Pipeline(options=beam_options(options)) as pipeline:
        items, item_counts = _split(
            pipeline
            | "item parts" >> beam.Create(range(len(job.items)), reshuffle=True)
            | "read items" >> beam.ParDo(ReadItems(place)).with_outputs(_COUNTS, main="rest")
        )
        rows, row_counts = _split(
            pipeline
            | "behaviour parts" >> beam.Create(range(len(job.behaviour)), reshuffle=True)
            | "read behaviour"
            >> beam.ParDo(ReadBehaviour(place)).with_outputs(_COUNTS, main="rest")
        )
        folded, folded_counts = _split(
            pipeline
            | "topic files" >> beam.Create(job.behaviours, reshuffle=True)
            | "read topic" >> beam.ParDo(ReadTopic(place))
            | "by request" >> beam.GroupByKey()
            | "fold" >> beam.ParDo(FoldRequests(place)).with_outputs(_COUNTS, main="rest")
        )
        told, told_counts = _split(
            folded
            | "by person" >> beam.GroupByKey()
            | "histories" >> beam.ParDo(AddHistories(place)).with_outputs(_COUNTS, main="rest")
        )
        rows = (rows, told) | "all behaviour" >> beam.Flatten()
        wanted = rows | "their items" >> beam.FlatMap(_wanted)
        joined = (
            {"items": items, "rows": wanted}
            | "by item" >> beam.CoGroupByKey()
            | "sample items"
            >> beam.ParDo(SampleItems(place)).with_outputs(_COUNTS, _FOUND, main="rest")
        )
        asked = (
            {"row": rows, "found": joined[_FOUND]}
            | "by row" >> beam.CoGroupByKey()
            | "sample behaviour"
            >> beam.ParDo(SampleBehaviour(place)).with_outputs(_COUNTS, main="rest")
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
            >> beam.ParDo(SampleWords(place), AsSingleton(some)).with_outputs(_COUNTS, main="rest")
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
                folded_counts,
                told_counts,
                joined[_COUNTS],
                asked[_COUNTS],
                words[_COUNTS],
            )
            | "counts" >> beam.Flatten()
            | "add up" >> beam.CombinePerKey(sum)
            | "all counts" >> beam.WithKeys(None)
            | "together" >> beam.GroupByKey()
            | "write counts" >> beam.ParDo(WriteCounts(place))
        )


def _split(outputs: Any) -> tuple[Any, Any]:
    return outputs["rest"], outputs[_COUNTS]


def _count(kind: str, outcome: str, number: int = 1) -> Any:
    return TaggedOutput(_COUNTS, ((kind, outcome), number))


def _to_sample(key: str, row: Behaviour) -> Any:
    """A row to make samples of, or the count of one that has nothing to learn from."""
    if not normalise(row.query):
        return _count("behaviour", WITHOUT_WORDS)
    if not row.chosen():
        return _count("behaviour", WITHOUT_CHOICE)
    return key, row


def _wanted(row: tuple[str, Behaviour]) -> Iterator[tuple[str, str]]:
    key, behaviour = row
    for item in dict.fromkeys((*behaviour.chosen(), *behaviour.history)):
        yield item, key


def _hashed(item: tuple[str, tuple[Any, SampledItem]], seed: int) -> tuple[bytes, Identifier]:
    """What chooses some of all items in the same way on every runner."""
    hashed = blake2b(f"{seed} {item[0]}".encode(), digest_size=16).digest()
    return hashed, item[1][1].identifier
