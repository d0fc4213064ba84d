"""Recall over spellings: a catalog in ten languages, and queries that write its words otherwise.

judged/languages.tsv has a title a row, and two queries that a person may ask for it with. None of
them is in the catalog; what is searched is built from the titles alone.
"""

import csv
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec

from kae.encoders.fitting.build import build_codebook
from kae.encoders.items import Item
from kae.streams.replica.search import Search
from kae.streams.retrieval.memory_index import fold_in_memory
from kae.streams.topology.types import Topology

TABLE = Path(__file__).parent / "judged" / "languages.tsv"
DEPTH = 10


class LanguagesReport(msgspec.Struct, frozen=True):
    """What `kae bench languages --json` prints.

    `recall_at_10`: the share of queries whose item is among the first ten, of all and by language;
    `missed` are the other queries.
    """

    recall_at_10: float
    by_language: dict[str, float]
    missed: list[str]
    items: int
    queries: int


def measure_languages(topology: Topology) -> LanguagesReport:
    """Index the catalog in memory, and ask every query."""
    rows = list(_rows())
    items = [Item(f"{language}-{n}", title) for n, (language, title, _) in enumerate(rows)]
    found: defaultdict[str, list[bool]] = defaultdict(list)
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="kae-languages-") as folder:
        codebook = build_codebook(lambda: items, topology.codebook_groups, {}, Path(folder))
        search = Search(codebook, topology.replica.beam)
        with fold_in_memory(items, codebook, topology) as index:
            for item, (language, _, queries) in zip(items, rows, strict=True):
                for query in queries:
                    hits = search.answer(index.view, query, DEPTH).items
                    found[language].append(item.id in [hit.id for hit in hits])
                    if not found[language][-1]:
                        missed.append(query)
    answers = [one for each in found.values() for one in each]
    return LanguagesReport(
        recall_at_10=_share(answers),
        by_language={language: _share(each) for language, each in found.items()},
        missed=missed,
        items=len(items),
        queries=len(answers),
    )


def _rows() -> Iterator[tuple[str, str, list[str]]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(rows)
        for language, title, *queries in rows:
            yield language, title, queries


def _share(answers: list[bool]) -> float:
    return round(sum(answers) / len(answers), 4)
