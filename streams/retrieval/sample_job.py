"""The job of `kae samples build`: everything that decides the samples, for each worker to read."""

from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path

import msgspec

from kae.encoders.categories import CATEGORY_INDEX, Slot
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Attribute, Item
from kae.encoders.query import BoundTerms
from kae.encoders.retriever.query_identifier import QueryIdentifiers
from kae.encoders.retriever.samples import SampledItem, Slots
from kae.streams.catalog.files import open_feed
from kae.streams.catalog.rows import FeedPosition, FeedRow, read_row
from kae.streams.codebooks.opening import open_codebook
from kae.streams.errors import CodebookDiffers
from kae.streams.retrieval.behaviour import BehaviourPart
from kae.streams.topology.types import Topology

_JOB = "job.json"
_TOPOLOGY = "topology.yaml"
_BATCH = 1024
_ENTITY = CATEGORY_INDEX["entity"]


class CatalogRows(msgspec.Struct, frozen=True, tag="catalog"):
    """Some rows of a feed file, to be encoded."""

    file: int
    path: str
    groups: tuple[int, ...]
    before: int


class ExportedItems(msgspec.Struct, frozen=True, tag="exported"):
    """A file of items of a generation, in the folder of the job."""

    name: str


ItemsPart = CatalogRows | ExportedItems


class BoundForm(msgspec.Struct, frozen=True, array_like=True):
    """A spelling of a bound term, and its slot."""

    binding: int
    form: str
    position: int
    index: int


class SamplesJob(msgspec.Struct, frozen=True, kw_only=True):
    """What samples are made of."""

    fingerprint: str
    capacities: tuple[int, ...]
    seed: int
    routing_form: str
    routing_each: int
    parts: int  # files of a stage, at most
    items: tuple[ItemsPart, ...]
    behaviour: tuple[BehaviourPart, ...]
    terms: tuple[BoundForm, ...] = ()
    behaviours: tuple[str, ...] = ()  # files of what the topic holds, in the folder of the job
    refused: dict[str, int] = {}  # records of the topic that are no behaviour events, by cause


class SamplesContext:
    """What a worker process loads once for a job."""

    def __init__(self, folder: Path) -> None:
        """Raises: CodebookDiffers."""
        self.folder = folder
        self.job = msgspec.json.decode((folder / _JOB).read_bytes(), type=SamplesJob)
        self.topology = Topology.load(folder / _TOPOLOGY)
        self.codebook: Codebook = open_codebook(self.topology)
        if self.codebook.fingerprint != self.job.fingerprint:
            raise CodebookDiffers(
                f"{self.topology.codebook_folder}: has the fingerprint "
                f"{self.codebook.fingerprint}, the samples were begun with "
                f"{self.job.fingerprint}; begin them again"
            )
        self._terms = BoundTerms(
            (one.binding, one.form, Slot(one.position, one.index)) for one in self.job.terms
        )

    @cached_property
    def _queries(self) -> QueryIdentifiers:
        return QueryIdentifiers(self.codebook)

    def identify(self, query: str) -> Slots:
        return self._queries.identify(query, self._terms)

    def weight_of(self, word: str) -> float:
        return self._queries.weight_of(word)

    def read_items(self, part: ItemsPart) -> Iterator[tuple[int, SampledItem | None]]:
        """Each item of a part, with its number; None for a row of a feed that is no item.

        Raises: CatalogInvalid.
        """
        if isinstance(part, ExportedItems):
            encoded = (self.folder / part.name).read_bytes()
            found = msgspec.msgpack.decode(encoded, type=list[SampledItem])
            yield from enumerate(found)
            return
        path = Path(part.path)
        records = open_feed(path).read_row_groups(part.groups)
        batch: list[tuple[int, Item]] = []
        encoder = Encoder(self.codebook)
        for number, record in enumerate(records, part.before + 1):
            row = read_row(path, FeedPosition(part.file, number), record, self.topology.catalog)
            if not isinstance(row, FeedRow):
                yield number, None
                continue
            batch.append((number, row.item))
            if len(batch) == _BATCH:
                yield from _encoded(encoder, batch)
                batch.clear()
        if batch:
            yield from _encoded(encoder, batch)


@cache
def samples_context(folder: str) -> SamplesContext:
    """The context of this process, so that it loads the codebook once."""
    return SamplesContext(Path(folder))


def save_job(folder: Path, job: SamplesJob, topology: Topology) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    topology.write(folder / _TOPOLOGY)
    (folder / _JOB).write_bytes(msgspec.json.encode(job))


def product_type(attributes: tuple[Attribute, ...]) -> str:
    """What kind of product has these attributes: its most trusted entity."""
    entities = [one for one in attributes if one.category == _ENTITY]
    return min(entities, key=lambda one: (one.source, -one.score)).word if entities else ""


def _encoded(encoder: Encoder, batch: list[tuple[int, Item]]) -> Iterator[tuple[int, SampledItem]]:
    found = encoder.encode_all([item for _, item in batch])
    for (number, item), one in zip(batch, found, strict=True):
        kind = product_type(one.attributes)
        yield number, SampledItem(item.id, item.title, one.identifier, kind)
