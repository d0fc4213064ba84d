"""`kae item extract`: a line in, a line out, every text a part of its input."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.encoders.test_tagger import HARD, LONG
from tests.warm import run_kae

from kae.encoders.categories import CATEGORIES
from kae.encoders.tagger.labelled import read_kinds, read_titles
from kae.streams.catalog.item_lines import read_item_lines
from kae.streams.errors import ItemsInvalid

CODEBOOK = Path(__file__).parents[2] / "deploy" / "local" / "codebook"


def kae(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_kae(*arguments)


def extract(folder: Path, lines: list[dict[str, Any]], *options: str | Path) -> list[Any]:
    source, out = folder / "items.jsonl", folder / "attributes.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = kae("item", "extract", "--input", source, "--output", out, *options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in out.read_text().splitlines()]


def texts(line: Any, category: str) -> list[tuple[str, str]]:
    return [(one["text"], one["source"]) for one in line["attributes"].get(category, [])]


def test_each_line_gives_one_and_its_texts_stand_in_the_input(tmp_path: Path) -> None:
    titles = [title.text for title in read_titles()[::29]] + [*HARD, LONG]
    items = [{"id": f"i{number}", "title": title} for number, title in enumerate(titles)]
    lines = extract(tmp_path, items)
    assert [line["id"] for line in lines] == [item["id"] for item in items]
    for item, line in zip(items, lines, strict=True):
        assert line["attributes"].keys() <= set(CATEGORIES)
        for values in line["attributes"].values():
            assert values
            for value in values:
                assert value["text"] in item["title"]
                assert value["text"]
                assert value["word"]
                assert 0 < value["score"] <= 1
                assert value.keys() == {"word", "text", "source", "score"}


def test_fields_come_before_the_tagger_and_close_their_category(tmp_path: Path) -> None:
    title = "Zorblax Women's Trail Running Shoe, Midnight Blue, 8 M US"
    item = {"id": 7, "title": title, "brand": "ZORBLAX", "attributes": {"Material": "Suede; PVC"}}
    (line,) = extract(tmp_path, [item])
    assert line["id"] == "7"
    assert texts(line, "brand") == [("ZORBLAX", "field")]
    assert texts(line, "material") == [("Suede", "field"), ("PVC", "field")]
    assert texts(line, "color") == [("Midnight Blue", "tagger")]
    assert line["attributes"]["brand"][0]["score"] == 1.0  # the title has it too


def test_a_codebook_adds_its_words_where_the_tagger_has_none(tmp_path: Path) -> None:
    item = {"id": "1", "title": "", "description": "A Laser-Printer for A4, Black"}
    assert extract(tmp_path, [item]) == [{"id": "1", "attributes": {}}]
    (line,) = extract(tmp_path, [item], "--codebook", CODEBOOK)
    assert texts(line, "color") == [("Black", "dictionary")]
    (line,) = extract(
        tmp_path,
        [{"id": "2", "title": "HP cable 1.5 m"}],
        "--codebook",
        CODEBOOK,
        "--tagger",
        "none",
    )
    assert texts(line, "specification") == [("1.5 m", "dictionary")]
    assert texts(line, "brand") == [("HP", "dictionary")]


def test_of_a_title_that_the_tagger_has_read_a_dictionary_says_what_it_never_learned(
    tmp_path: Path,
) -> None:
    titles = ["Acme Soft Toothbrush with Cleaner, 6 Count", "Acme Women's Running Shoe, Blue - New"]
    items = [{"id": str(number), "title": title} for number, title in enumerate(titles)]
    learned = {kind.category for kind in read_kinds()}
    alone = extract(tmp_path, items)
    beside = extract(tmp_path, items, "--codebook", CODEBOOK)
    for one, other in zip(alone, beside, strict=True):
        kept = {name: has for name, has in other["attributes"].items() if name in learned}
        assert kept == one["attributes"]
    assert texts(beside[1], "marketing") == [("New", "dictionary")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"id": "1", "title": "x"}\n{"title": "y"}\n', "line 2: id is null: an item needs an id"),
        ("[1]\n", "line 1: Expected `object`"),
        ("not json\n", "line 1: JSON is malformed"),
    ],
)
def test_a_line_that_is_no_item_is_named_and_nothing_is_written(
    tmp_path: Path, content: str, said: str
) -> None:
    source, out = tmp_path / "items.jsonl", tmp_path / "out.jsonl"
    source.write_text(content)
    done = kae("item", "extract", "--input", source, "--output", out)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [source]


def test_a_tagger_that_is_none_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "items.jsonl"
    source.write_text("")
    done = kae(
        "item", "extract", "--input", source, "--output", tmp_path / "o", "--tagger", tmp_path
    )
    assert done.returncode == 1
    assert "no tagger" in done.stderr


def test_half_a_character_in_a_line_is_told_as_that(tmp_path: Path) -> None:
    source = tmp_path / "items.jsonl"
    source.write_text('{"id":"1","title":"hat"}\n{"id":"2","title":"hat \\ud83c"}\n')
    with pytest.raises(ItemsInvalid, match=r"line 2: title is .*is half of a character"):
        list(read_item_lines(source))
