"""Extraction, compared with a bare scan of the same titles for the same dictionary."""

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import ahocorasick_rs
import msgspec

from kae.deploy.demo import CATALOG
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.extract import Extractor
from kae.encoders.items import Item
from kae.encoders.tagger.tagger import Tagger
from kae.encoders.text.normal_form import normalise
from kae.streams.catalog.rows import read_items
from kae.streams.runtime.interpreter import set_for_indexing
from kae.streams.topology.types import Topology

# Of the tagger: so many unseen titles of the catalog, in batches of some seconds at most.
TAGGED_TITLES = 320
TAGGED_AT_ONCE = 32


class ExtractReport(msgspec.Struct, frozen=True):
    """What `kae bench extract --json` prints.

    `dictionary_titles_per_second`: fields and title through the extractor that the index uses, with
    nothing cached at the beginning of a round. The raw scan is the bare automaton over the same
    dictionary's words and the same titles, already normalised; descriptions are in neither. The
    ratio is the median of those of neighbouring rounds. `p99_batch_ms`: of the batches that a
    worker takes, descriptions included, through the extractor; `tagger_p99_batch_ms`: of 32 titles.
    """

    dictionary_titles_per_second: float
    ratio_to_raw_scan: float
    tagger_titles_per_second: float
    p99_batch_ms: float
    raw_scan_titles_per_second: float
    with_descriptions_per_second: float
    tagger_p99_batch_ms: float
    items: int
    words: int  # of the dictionary
    batch: int
    rounds: int
    codebook: str
    tagger: str


def measure_extract(folder: Path, topology: Topology, rounds: int, tagger: Tagger) -> ExtractReport:
    """Both in turn, on the demo's catalog.

    Raises: CodebookInvalid, CatalogInvalid.
    """
    codebook = Codebook.load(folder)
    batch = topology.worker.batch_events
    items = list(read_items(CATALOG, topology.catalog))
    untold = [msgspec.structs.replace(item, description="") for item in items]
    titles = [normalise(item.title) for item in items]
    words = sorted({word.word for word in codebook.words if word.scanned})
    scanner = ahocorasick_rs.AhoCorasick(words, matchkind=ahocorasick_rs.MatchKind.LeftmostLongest)
    set_for_indexing()  # as a worker does
    raw: list[float] = []
    ours: list[list[float]] = []
    whole: list[list[float]] = []
    for _ in range(rounds):
        began = time.perf_counter()
        for title in titles:
            scanner.find_matches_as_indexes(title)
        raw.append(len(titles) / (time.perf_counter() - began))
        ours.append(_extracted(Extractor(codebook), untold, batch))
        whole.append(_extracted(Extractor(codebook), items, batch))
    rates = [len(items) / sum(seconds) for seconds in ours]
    tagged = _tagged(tagger, [item.title for item in items])
    return ExtractReport(
        dictionary_titles_per_second=round(median(rates), 1),
        ratio_to_raw_scan=round(
            median(rate / bare for rate, bare in zip(rates, raw, strict=True)), 4
        ),
        tagger_titles_per_second=round(TAGGED_TITLES / sum(tagged), 1),
        p99_batch_ms=_p99_ms([seconds for each in whole for seconds in each]),
        raw_scan_titles_per_second=round(median(raw), 1),
        with_descriptions_per_second=round(median(len(items) / sum(each) for each in whole), 1),
        tagger_p99_batch_ms=_p99_ms(tagged),
        items=len(items),
        words=len(words),
        batch=batch,
        rounds=rounds,
        codebook=codebook.fingerprint,
        tagger=tagger.fingerprint,
    )


def _extracted(extractor: Extractor, items: Sequence[Item], batch: int) -> list[float]:
    """Seconds of each batch."""
    seconds = []
    for begin in range(0, len(items), batch):
        taken = items[begin : begin + batch]
        began = time.perf_counter()
        extractor.find(taken)
        seconds.append(time.perf_counter() - began)
    return seconds


def _tagged(tagger: Tagger, titles: Sequence[str]) -> list[float]:
    """Seconds of each batch of titles from all over the catalog, none of them seen before."""
    unseen = list(dict.fromkeys(titles))
    chosen = unseen[:: len(unseen) // TAGGED_TITLES][:TAGGED_TITLES]
    seconds = []
    for begin in range(0, len(chosen), TAGGED_AT_ONCE):
        began = time.perf_counter()
        tagger.tag(chosen[begin : begin + TAGGED_AT_ONCE])
        seconds.append(time.perf_counter() - began)
    return seconds


def _p99_ms(seconds: Sequence[float]) -> float:
    ranked = sorted(seconds)
    return round(ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))] * 1000, 3)
