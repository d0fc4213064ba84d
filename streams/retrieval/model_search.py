"""Search with a model: dictionary -> query's identifier -> beams under the live mask -> items."""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import msgspec

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.retriever.beams import AskedQuery
from kae.encoders.retriever.fusion import FUSED_DEPTH, fuse_rankings
from kae.encoders.retriever.manifest import read_manifest
from kae.encoders.retriever.network import Retriever
from kae.encoders.retriever.query_identifier import QueryIdentifiers
from kae.encoders.retriever.samples import Slots
from kae.streams.errors import ModelDiffers
from kae.streams.replica.decode import Decode
from kae.streams.replica.search import Search
from kae.streams.replica.view import View
from kae.streams.replica_api.answers import Version, Words
from kae.streams.replica_api.words import slot_word
from kae.streams.retrieval.model_decoding import (
    PATH_ITEMS,
    DecodedQuery,
    check_capacities,
    decode_queries,
)


class BeamShown(msgspec.Struct, frozen=True):
    """An identifier as words; `score` is that of `encoders/retriever/beams.py`.

    `routed` says that it was decoded among the paths of the query's terms alone.
    """

    words: Words
    slots: tuple[int, ...]
    score: float
    items: int
    routed: bool


class ModelHit(msgspec.Struct, frozen=True):
    """An item; `path` are the words of the beam that led to it, null if only its own words did.

    `via` is the term of the path, if it is one of a term.
    """

    id: str
    title: str
    path: Words | None
    via: str | None
    score: float | None


class ModelAnswer(msgspec.Struct, frozen=True):
    """What `kae model search --json` prints; `identifier` is the query's own."""

    version: Version
    query: str
    identifier: Words
    slots: tuple[int, ...]
    beams: list[BeamShown]
    items: list[ModelHit]
    took_ms: float


class ModelSearch:
    """Answers queries with a model, each from the view that is given."""

    def __init__(
        self,
        retriever: Retriever,
        codebook: Codebook,
        beams: int,
        *,
        path_items: int = PATH_ITEMS,
        word_beam: int = 1024,
    ) -> None:
        """`word_beam` is the beam of the search by own words, for `both`.

        Raises: ModelDiffers when the model has other slots than the codebook.
        """
        check_capacities(retriever, [group.capacity for group in codebook.groups])
        self._retriever = retriever
        self._codebook = codebook
        self._beams = beams
        self._path_items = path_items
        self._queries = QueryIdentifiers(codebook)
        self._own_words = Search(codebook, word_beam)

    @staticmethod
    def open(folder: Path, codebook: Codebook, beams: int, device: str = "cpu") -> "ModelSearch":
        """The model of a folder. Raises: RetrieverInvalid, ModelDiffers."""
        trained_on = read_manifest(folder).codebook
        if trained_on != codebook.fingerprint:
            raise ModelDiffers(
                f"{folder}: was trained for codebook {trained_on or 'none'}, the index has "
                f"{codebook.fingerprint}; train one on samples of this generation"
            )
        return ModelSearch(Retriever.load(folder, device), codebook, beams)

    def identify(self, view: View, text: str) -> Slots:
        """The identifier of a query, with the terms of a view."""
        return self._queries.identify(text, view.terms)

    def decode(self, view: View, texts: Sequence[str]) -> list[DecodedQuery]:
        """Decode some queries together."""
        asked = [
            AskedQuery(
                text,
                self.identify(view, text),
                terms=self._queries.term_slots(text, view.terms),
            )
            for text in texts
        ]
        decode = Decode(view, self._codebook)
        return decode_queries(
            self._retriever, decode, asked, self._beams, path_items=self._path_items
        )

    def rank(self, view: View, texts: Sequence[str], limit: int) -> list[list[str]]:
        """The ids of each query's items, the best first."""
        return [_ids(view, decoded, limit) for decoded in self.decode(view, texts)]

    def rank_by_words(self, view: View, text: str, limit: int) -> list[str]:
        """The ids of the items whose own words say the query, the best first."""
        return [hit.id for hit in self._own_words.answer(view, text, limit).items]

    def answer(self, view: View, text: str, limit: int, *, both: bool = False) -> ModelAnswer:
        """One query with its beams as words."""
        began = perf_counter()
        (decoded,) = self.decode(view, [text])
        hits = self._hits(view, decoded, max(limit, FUSED_DEPTH) if both else limit)
        if both:
            own = self._own_words.answer(view, text, max(limit, FUSED_DEPTH)).items
            reached = {hit.id: hit for hit in hits}
            by_words = {hit.id: ModelHit(hit.id, hit.title, None, None, None) for hit in own}
            order = fuse_rankings([*reached], [*by_words], limit)
            hits = [reached.get(item) or by_words[item] for item in order]
        took = perf_counter() - began
        slots = self.identify(view, text)
        return ModelAnswer(
            version=view.version,
            query=text,
            identifier=self._words(view, slots),
            slots=slots,
            beams=self._shown(view, decoded),
            items=hits,
            took_ms=round(took * 1000, 3),
        )

    def _shown(self, view: View, decoded: DecodedQuery) -> list[BeamShown]:
        rows = zip(
            decoded.beams.identifiers.tolist(),
            decoded.beams.scores.tolist(),
            decoded.sizes.tolist(),
            decoded.routed.tolist(),
            strict=True,
        )
        return [
            BeamShown(self._words(view, slots), tuple(slots), round(score, 4), items, routed)
            for slots, score, items, routed in rows
        ]

    def _hits(self, view: View, decoded: DecodedQuery, limit: int) -> list[ModelHit]:
        found = decoded.items
        columns = (found.shards, found.ordinals, found.bindings, found.paths, found.scores)
        hits = []
        for shard, ordinal, binding, path, score in zip(
            *(column[:limit].tolist() for column in columns), strict=True
        ):
            item = view.shards[shard].item_at(ordinal)
            via = view.bindings.bound[binding].term if binding else None
            words = self._words(view, decoded.beams.identifiers[path].tolist())
            hits.append(ModelHit(item.id, item.title, words, via, round(score, 4)))
        return hits

    def _words(self, view: View, slots: Sequence[int]) -> Words:
        return tuple(
            slot_word(self._codebook, view.bindings, position, index) if index else None
            for position, index in enumerate(slots)
        )


def _ids(view: View, decoded: DecodedQuery, limit: int) -> list[str]:
    found = decoded.items
    pairs = zip(found.shards[:limit].tolist(), found.ordinals[:limit].tolist(), strict=True)
    return [view.shards[shard].item_at(ordinal).id for shard, ordinal in pairs]
