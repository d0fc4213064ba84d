"""Samples of the demo's catalog that a small network learns from in seconds."""

from collections.abc import Iterator, Sequence

import msgspec
from tests.icecat import catalog_items

from kae.encoders.categories import POSITIONS
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Item
from kae.encoders.retriever.plan import TrainingPlan
from kae.encoders.retriever.query_identifier import QueryIdentifiers
from kae.encoders.retriever.samples import (
    Behaviour,
    Sample,
    SampledItem,
    behaviour_samples,
    item_samples,
    routing_samples,
    word_samples,
)
from kae.encoders.retriever.stage_samples import StageSamples
from kae.streams.retrieval.sample_job import product_type
from kae.streams.topology.types import Topology

ITEMS = 300
# Samples of each stage.
SAMPLES = 640
SEED = 3


def small_plan(samples: int) -> TrainingPlan:
    """The plan of the reference with a tiny network, and so many samples in each stage."""
    plan = Topology.load().retriever_part.plan
    stages = tuple(
        msgspec.structs.replace(stage, samples=samples, rate=3e-3) for stage in plan.stages
    )
    return msgspec.structs.replace(
        plan, preset="tiny", text_tokens=1024, batch_samples=32, stages=stages
    )


def capacities_of(codebook: Codebook) -> tuple[int, ...]:
    return tuple(group.capacity for group in codebook.groups)


def sampled(codebook: Codebook, items: Sequence[Item]) -> list[SampledItem]:
    found = Encoder(codebook).encode_all(items)
    return [
        SampledItem(item.id, item.title, one.identifier, product_type(one.attributes))
        for item, one in zip(items, found, strict=True)
    ]


def stage_samples(codebook: Codebook) -> StageSamples:
    """Of the first items of the catalog."""
    items = sampled(codebook, catalog_items(ITEMS))
    return StageSamples(samples_of(codebook, items))


def samples_of(codebook: Codebook, items: Sequence[SampledItem]) -> Iterator[Sample]:
    queries = QueryIdentifiers(codebook)
    by_id = {item.id: item for item in items}
    words = [*word_samples(codebook)]
    yield from words[:400]
    for before, item in zip([items[-1], *items], items, strict=False):
        yield from item_samples(item, queries.identify, queries.weight_of)
        query = " ".join(item.title.split()[:3])
        row = Behaviour(query, clicked=(item.id,), history=(before.id,))
        yield from behaviour_samples(row, by_id, queries.identify)
    yield from routing_samples(
        [codebook.reserved(position)[:8] for position in range(POSITIONS)],
        [item.identifier for item in items],
        each=4,
        form="path",
        seed=1,
    )
