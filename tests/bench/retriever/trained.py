"""One encoding, trained and asked: from samples to ranked items.

Every encoding has the same network, tokenizer, plan and seed. kae's queries come with the slots
that the dictionary has for their words, those of a closed codebook with the codes of their vectors.
S0 and self-routing need words and reserved slots, so they are kae's alone: without them, S0 is left
out, and all of S3 is retrieval.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kae.bench.retriever.encodings import Encoding
from kae.bench.retriever.judged_queries import JudgedQuery, behaviour_of
from kae.bench.retriever.live_index import LiveIndex, ReachedItems
from kae.encoders.categories import Identifier, Slot
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.encoders.retriever.beams import AskedQuery, Beams, Mask, beam_search
from kae.encoders.retriever.network import Retriever
from kae.encoders.retriever.plan import TrainingPlan
from kae.encoders.retriever.samples import (
    Identify,
    Sample,
    SampledItem,
    Slots,
    WeightOf,
    behaviour_samples,
    item_samples,
    routing_samples,
    word_samples,
)
from kae.encoders.retriever.stage_samples import StageSamples
from kae.encoders.retriever.text import TextTokens
from kae.encoders.retriever.training import Progress, train
from kae.streams.retrieval.model_decoding import PATH_ITEMS, decode_queries
from kae.streams.topology.retriever_part import RoutingPart

# Beams that lead to as many items as are looked at, and some more.
BEAMS = 512
# From a query to the slots of the bound words that it names.
TermsOf = Callable[[str], tuple[Slot, ...]]
# Queries that are decoded together.
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class WarmItem:
    """An item that is learned from: its row among all items, and what kind of product it is."""

    row: int
    item: Item
    product_type: str


class TrainedEncoding:
    """A model of one encoding, with the index of all items, cold ones included."""

    def __init__(self, encoding: Encoding, retriever: Retriever, identify: Identify) -> None:
        self.encoding = encoding
        self.retriever = retriever
        self.identify = identify
        self.index = LiveIndex(encoding.codes, encoding.capacities)

    def decode(
        self,
        texts: Sequence[str],
        *,
        index: LiveIndex | None = None,
        identify: Identify | None = None,
        masked: bool = True,
        beams: int = BEAMS,
    ) -> list[Beams]:
        """Decode each query; `index` and `identify` know of words that were bound since."""
        index, identify = index or self.index, identify or self.identify
        asked = [AskedQuery(text, identify(text)) for text in texts]
        mask: Mask | None = index.constraint.mask if masked else None
        return [
            found
            for first in range(0, len(asked), AT_ONCE)
            for found in beam_search(self.retriever, asked[first : first + AT_ONCE], mask, beams)
        ]

    def serve(
        self, texts: Sequence[str], index: LiveIndex, identify: Identify, terms_of: TermsOf
    ) -> list[Beams]:
        """Decode as a search with a model does: the terms of a query have beams of their own."""
        asked = [AskedQuery(text, identify(text), terms=terms_of(text)) for text in texts]
        return [
            found.beams
            for first in range(0, len(asked), AT_ONCE)
            for found in decode_queries(
                self.retriever, index.constraint, asked[first : first + AT_ONCE], BEAMS
            )
        ]

    def reached(
        self, found: Sequence[Beams], limit: int, index: LiveIndex | None = None
    ) -> list[ReachedItems]:
        """The items that beams lead to; what is not live is skipped."""
        index = index or self.index
        return [
            index.items(one.identifiers[index.is_live(one.identifiers)], PATH_ITEMS, limit)
            for one in found
        ]


def train_encoding(
    encoding: Encoding,
    samples: StageSamples,
    plan: TrainingPlan,
    texts: TextTokens,
    identify: Identify,
    out: Path,
    seed: int,
    progress: Progress | None = None,
) -> TrainedEncoding:
    """Train on one thread, so that sums are added in one order and the figures come again."""
    retriever = train(
        samples, plan, encoding.capacities, out, seed=seed, texts=texts, progress=progress
    )
    return TrainedEncoding(encoding, retriever, identify)


def samples_of(
    encoding: Encoding,
    warm: Sequence[WarmItem],
    queries: Sequence[JudgedQuery],
    identify: Identify,
    weight_of: WeightOf,
    codebook: Codebook,
    routing: RoutingPart,
    seed: int,
) -> StageSamples:
    """All samples of an encoding."""
    return StageSamples(
        _samples(encoding, warm, queries, identify, weight_of, codebook, routing, seed)
    )


def _samples(
    encoding: Encoding,
    warm: Sequence[WarmItem],
    queries: Sequence[JudgedQuery],
    identify: Identify,
    weight_of: WeightOf,
    codebook: Codebook,
    routing: RoutingPart,
    seed: int,
) -> Iterator[Sample]:
    rows = encoding.codes.tolist()
    found = {
        one.item.id: SampledItem(
            one.item.id, one.item.title, _identifier(rows[one.row]), one.product_type
        )
        for one in warm
    }
    if encoding.has_words:
        yield from word_samples(codebook)
    for item in found.values():
        yield from item_samples(item, identify, weight_of)
    for query in queries:
        yield from behaviour_samples(behaviour_of(query), found, identify)
    if encoding.has_words:
        reserved = [codebook.reserved(position) for position in range(len(codebook.groups))]
        identifiers = [item.identifier for item in found.values()]
        yield from routing_samples(
            reserved, identifiers, each=routing.each, form=routing.form, seed=seed
        )


def identify_by_codes(
    vectors_of: Callable[[Sequence[str]], NDArray[np.float32]],
    codes_of: Callable[[NDArray[np.float32]], NDArray[np.int32]],
    known: Sequence[str],
    of_known: NDArray[np.float32],
) -> Identify:
    """The codes of a query's vector; those of the `known` texts are worked out at once."""
    found = dict(zip(known, map(_identifier, codes_of(of_known).tolist()), strict=True))

    def identify(text: str) -> Slots:
        if text not in found:
            found[text] = _identifier(codes_of(vectors_of([text]))[0].tolist())
        return found[text]

    return identify


def _identifier(row: Sequence[int]) -> Identifier:
    a, b, c, d, e, f = row
    return (a, b, c, d, e, f)
