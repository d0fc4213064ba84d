"""`kae bench retriever` as a whole, small: each model is trained for seconds, asked everything."""

import csv
from pathlib import Path

import msgspec
import pytest

from kae.bench.judged.make import FILE
from kae.bench.judgements import HEADER, read_judgements
from kae.bench.retriever.bench import BEAMS_ALONE, BenchSize, measure_retriever
from kae.bench.retriever.encodings import ENCODINGS, KAE
from kae.bench.retriever.inputs import read_inputs
from kae.bench.retriever.judged_queries import hold_back
from kae.bench.retriever.report import RetrieverReport
from kae.bench.retriever.tables import judged_tables
from kae.deploy.demo import CATALOG
from kae.streams.catalog.rows import read_items
from kae.streams.topology.types import Topology

TOPOLOGY = Topology.load()
SIZE = BenchSize(seeds=1, minutes=0.02, nonce_words=12, removed_words=4, stages=False)


def small_judgements(folder: Path) -> tuple[Path, Path, Path]:
    """Sixty judged queries of the demo, divided, and the items judged for them."""
    judged = dict(list(read_judgements(FILE).items())[:60])
    wanted = {item for ratings in judged.values() for item in ratings}
    items = [item for item in read_items(CATALOG, TOPOLOGY.catalog) if item.id in wanted]
    files = [folder / name for name in ("items.jsonl", "train.csv", "test.csv")]
    files[0].write_bytes(msgspec.json.Encoder().encode_lines(items))
    for file, part in zip(files[1:], hold_back(judged), strict=True):
        with file.open("w", encoding="utf-8", newline="") as opened:
            rows = csv.writer(opened)
            rows.writerow(HEADER)
            rows.writerows((q, item, r) for q, found in part.items() for item, r in found.items())
    return files[0], files[1], files[2]


def judge(files: tuple[Path, Path, Path], work: Path) -> RetrieverReport:
    given = read_inputs([files[0]], files[1], files[2], TOPOLOGY, None, 1)
    return measure_retriever(given, SIZE, 1, work, 2)


def without_times(report: RetrieverReport) -> object:
    """What two runs have to agree on."""
    told = msgspec.to_builtins(report)
    for name in ("took_seconds", "peak_memory_mb", "query_p50_ms", "costs"):
        del told[name]
    for row in told["encodings"].values():
        del row["samples_per_second"]
    return told


@pytest.mark.timeout(1800)
def test_a_bench_is_whole_and_says_the_same_when_it_goes_on(tmp_path: Path) -> None:
    files = small_judgements(tmp_path)
    report = judge(files, tmp_path / "work")
    assert set(report.encodings) == {*ENCODINGS}
    assert set(report.peers) == {"bm25", "words", "doc-t5-query", "dense", "both"}
    assert report.queries + report.queries_of_removed_words > 5
    # A word that nobody else says is found by BM25, and found by itself.
    bm25, kae = report.nonce["bm25"], report.nonce[KAE]
    assert bm25.ihr350_alone == 1.0
    assert bm25.iar350 == bm25.ihr350
    # A word that is bound is found as kae serves it: its paths have beams of their own.
    assert kae.ihr350_alone == kae.ihr350_in_queries == 1.0
    assert kae.iar350 == kae.ihr350
    assert set(report.nonce) == {*ENCODINGS, BEAMS_ALONE, "bm25"}
    # Closed codebooks have the fair edit instead.
    assert set(report.nonce_fair) == {*ENCODINGS} - {KAE}
    assert [one.beam for one in report.costs] == [64, 512]
    assert len(list(judged_tables(report))) == 8
    # The models are in the folder: nothing is trained again, and nothing comes out otherwise.
    assert without_times(judge(files, tmp_path / "work")) == without_times(report)
