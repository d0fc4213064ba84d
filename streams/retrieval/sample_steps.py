"""The steps of the Beam pipeline of `kae samples build`; sample_pipeline.py puts them together.

Each element that is read is counted once, as used or as passed over for a cause.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from zlib import crc32

import apache_beam as beam
import msgspec
from apache_beam.pvalue import TaggedOutput

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
COUNTED = "counts"
FOUND = "found"
# Items whose identifiers self-routing samples lead to.
ROUTED_ITEMS = 4096
# Where a sample stands among those of its part.
SampleKey = tuple[int, str, int]
Placed = tuple[tuple[str, int], tuple[SampleKey, Sample]]
# The kinds of input, in the order of their samples.
KINDS = ("words", "items", "behaviour", "reserved")
CountedInput = tuple[tuple[str, str], int]
USED = "used"


class JobStep(beam.DoFn):
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


class ReadItems(JobStep):
    """The number of a part -> (id, (where it stands, item))."""

    def process(self, part: int) -> Iterator[Any]:
        for number, item in self.context.read_items(self.context.job.items[part]):
            if item is None:
                yield _count("items", "no item")
            else:
                yield item.id, ((part, number), item)


class ReadBehaviour(JobStep):
    """The number of a part -> (row, behaviour)."""

    def process(self, part: int) -> Iterator[Any]:
        where = self.context.job.behaviour[part]
        for number, row in read_behaviour(where):
            if isinstance(row, BehaviourRefused):
                yield _count("behaviour", row.cause)
            else:
                yield _to_sample(f"{where.file:06d}/{number:012d}", row)


class ReadTopic(JobStep):
    """The name of a file -> (request, record of the behaviours topic)."""

    def process(self, name: str) -> Iterator[tuple[str, TopicRecord]]:
        for record in read_exported(self.context.folder / name):
            yield record.request, record


class FoldRequests(JobStep):
    """(request, its records) -> (person, event)."""

    def process(self, group: tuple[str, Iterable[TopicRecord]]) -> Iterator[Any]:
        folded = fold_request(group[1])
        for cause in folded.passed_over:
            yield _count("behaviour", cause)
        if folded.event is not None:
            yield folded.event.person, folded.event


class AddHistories(JobStep):
    """(person, events) -> (row, behaviour)."""

    def process(self, group: tuple[str, Iterable[RequestEvent]]) -> Iterator[Any]:
        for request, behaviour in with_histories(group[1]):
            yield _to_sample(f"topic/{request}", behaviour)


class SampleItems(JobStep):
    """(id, items, rows) -> samples of the item; as `found`, (row, item) for each row."""

    def process(self, joined: tuple[str, Mapping[str, Iterable[Any]]]) -> Iterator[Any]:
        item_id, sides = joined
        items = sorted(sides["items"], key=lambda one: one[0])
        for _ in items[1:]:
            yield _count("items", "its id came before")
        if not items:
            return
        item: SampledItem = items[0][1]
        yield from (TaggedOutput(FOUND, (row, item)) for row in sorted(set(sides["rows"])))
        samples = [*item_samples(item, self.context.identify, self.context.weight_of)]
        yield _count("items", USED if samples else "its title has no words")
        yield from self.place("items", item_id, samples)


class SampleBehaviour(JobStep):
    """(row, behaviour, items) -> samples of the row."""

    def process(self, joined: tuple[str, Mapping[str, Iterable[Any]]]) -> Iterator[Any]:
        key, sides = joined
        (row,) = sides["row"]
        found = {item.id: item for item in sides["found"]}
        samples = [*behaviour_samples(row, found, self.context.identify)]
        yield _count("behaviour", USED if samples else "none of its items is known")
        yield from self.place("behaviour", key, samples)


class SampleWords(JobStep):
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


class WriteParts(JobStep):
    """((stage, part), its samples) -> the name of its file."""

    def process(
        self, group: tuple[tuple[str, int], Iterable[tuple[SampleKey, Sample]]]
    ) -> Iterator[str]:
        (stage, part), placed = group
        name = f"{stage}/part-{part:04d}.parquet"
        samples = [sample for _, sample in sorted(placed, key=lambda one: one[0])]
        write_part(self.context.folder / name, samples)
        yield name


class WriteCounts(JobStep):
    """All counts -> a file."""

    def process(self, group: tuple[None, Iterable[CountedInput]]) -> Iterator[str]:
        counts: dict[str, dict[str, int]] = {}
        for (kind, outcome), number in sorted(group[1]):
            counts.setdefault(kind, {})[outcome] = number
        write_atomically(self.context.folder / COUNTS, msgspec.json.encode(counts))
        yield COUNTS


def _count(kind: str, outcome: str, number: int = 1) -> Any:
    return TaggedOutput(COUNTED, ((kind, outcome), number))


def _to_sample(key: str, row: Behaviour) -> Any:
    """A row to make samples of, or the count of one that has nothing to learn from."""
    if not normalise(row.query):
        return _count("behaviour", WITHOUT_WORDS)
    if not row.chosen():
        return _count("behaviour", WITHOUT_CHOICE)
    return key, row
