"""Reading judgement files, and asking a small catalog with one."""

from pathlib import Path

import pytest

from kae.bench.judgements import JudgementsInvalid, read_judgements
from kae.bench.search import measure_search
from kae.encoders.items import Item
from kae.streams.topology.types import Topology

HEADER = "query,docid,rating\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "judged.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_ratings_are_read_by_query_and_item(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + 'usb cable,1,3\n"a, b",2,0\nusb cable,2,0.5\n')
    assert read_judgements(path) == {"usb cable": {"1": 3.0, "2": 0.5}, "a, b": {"2": 0.0}}


def test_of_an_item_judged_twice_the_higher_rating_holds(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + "mouse,1,1\nmouse,1,3\nmouse,1,2\n")
    assert read_judgements(path) == {"mouse": {"1": 3.0}}


@pytest.mark.parametrize("row", ["mouse,1", "mouse,1,good", "mouse,1,-1", "mouse,1,nan", "a,1,2,3"])
def test_a_line_that_is_no_judgement_is_named(tmp_path: Path, row: str) -> None:
    path = written(tmp_path, HEADER + f"cable,1,1\n{row}\n")
    with pytest.raises(JudgementsInvalid, match=r"judged\.csv:3: .*rating of 0 to 100"):
        read_judgements(path)


def test_another_header_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(JudgementsInvalid, match="begin it with query,docid,rating"):
        read_judgements(written(tmp_path, "q,d,r\n"))
    with pytest.raises(JudgementsInvalid, match="No such file"):
        read_judgements(tmp_path / "none.csv")


def test_both_sides_are_asked_the_same_queries(
    tmp_path: Path, catalog: list[Item], codebook_folder: Path
) -> None:
    topology = Topology.load().edited({"shards": 2})
    feed = tmp_path / "feed.csv"
    lines = [f"{item.id},hp toner cartridge {number}" for number, item in enumerate(catalog[:5])]
    feed.write_text("\n".join(["id,title,description", *(f"{line}," for line in lines)]))
    judged = written(
        tmp_path,
        HEADER
        + f"hp toner cartridge,{catalog[0].id},3\nnothing here,{catalog[1].id},0\n"
        + f"zorblax,{catalog[1].id},2\nzorblax,elsewhere,1\n",
    )
    report = measure_search(judged, [feed], topology, codebook_folder)
    assert (report.items, report.queries, report.queries_without_relevant) == (5, 2, 1)
    assert (report.judged, report.judged_not_in_catalog) == (3, 1)
    # Nobody finds zorblax; everybody finds the cartridges.
    assert report.recall_at_350 == report.bm25_recall_at_350 == 0.5
    assert report.recall_ratio_to_bm25 == 1.0


def test_a_file_without_a_relevant_item_is_refused(tmp_path: Path, codebook_folder: Path) -> None:
    judged = written(tmp_path, HEADER + "mouse,1,0\n")
    with pytest.raises(JudgementsInvalid, match="no query has an item rated above 0"):
        measure_search(judged, [], Topology.load(), codebook_folder)
