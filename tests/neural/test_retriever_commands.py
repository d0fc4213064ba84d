"""`kae samples build`, then `kae model train | show | search | evaluate`, as people give them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.icecat import catalog_items
from tests.neural.retriever_samples import ITEMS, small_plan
from typer.testing import CliRunner

from kae.streams.cli.main import app
from kae.streams.topology.types import Topology


@pytest.fixture(scope="module")
def workplace(codebook_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a topology of a tiny model, a feed, and behaviour."""
    folder = tmp_path_factory.mktemp("workplace")
    items = catalog_items(ITEMS)
    feed = [{"id": one.id, "title": one.title, **one.fields} for one in items]
    behaviour = [{"query": " ".join(i.title.split()[:3]), "clicked": [i.id]} for i in items[::3]]
    for name, rows in (("feed", feed), ("behaviour", behaviour)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Topology.load().edited({"codebook.path": str(codebook_folder)}).write(folder / "topology.yaml")
    document = yaml.safe_load((folder / "topology.yaml").read_text())
    plan = small_plan(320)
    document["retriever"] |= {
        "preset": plan.preset,
        "text_tokens": plan.text_tokens,
        "stages": [
            stage | {"samples": 320, "rate": 3.0e-3} for stage in document["retriever"]["stages"]
        ],
    }
    (folder / "topology.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return folder


def given(workplace: Path, *arguments: str) -> Any:
    """Runs a command as the shell does, and returns what it prints as JSON."""
    command = [*arguments, "--topology", str(workplace / "topology.yaml"), "--json"]
    found = CliRunner().invoke(app, command, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def trained(workplace: Path) -> dict[str, Any]:
    """What `kae model train` says of a model of all that `kae samples build` made."""
    samples = given(
        workplace,
        *("samples", "build", "--out", str(workplace / "samples")),
        *("--catalog", str(workplace / "feed.jsonl")),
        *("--behaviour", str(workplace / "behaviour.jsonl")),
    )
    assert samples["counts"]["items"]["used"] == ITEMS
    assert samples["counts"]["behaviour"]["used"] == len(catalog_items(ITEMS)[::3])
    found = given(
        workplace,
        *("model", "train", str(workplace / "samples"), "--out", str(workplace / "model")),
        *("--threads", "1", "--device", "cpu", "--seed", "7"),
    )
    assert found["codebook"] == samples["codebook"]
    return dict(found)


@pytest.mark.timeout(300)
def test_a_model_says_what_it_was_trained_on(workplace: Path, trained: dict[str, Any]) -> None:
    assert [(one["name"], one["steps"]) for one in trained["stages"]] == [
        ("S0", 5),
        ("S1", 5),
        ("S2", 5),
        ("S3", 5),
    ]
    assert trained["offsets"][0] == trained["text_tokens"]
    assert trained["offsets"][1] - trained["offsets"][0] == trained["capacities"][0]
    shown = CliRunner().invoke(app, ["model", "show", str(workplace / "model"), "--json"])
    assert json.loads(shown.stdout.splitlines()[-1]) == trained
    assert b"loss (nats a token)" in (workplace / "model" / "curve.svg").read_bytes()


@pytest.mark.timeout(300)
def test_a_search_shows_the_beams_as_words(workplace: Path, trained: dict[str, Any]) -> None:
    arguments = ("--model", str(workplace / "model"), "--catalog", str(workplace / "feed.jsonl"))
    title = catalog_items(1)[0].title
    found = given(workplace, "model", "search", title, *arguments, "--beam", "400", "--limit", "5")
    assert len(found["items"]) == 5
    scores = [one["score"] for one in found["beams"]]
    assert scores == sorted(scores, reverse=True)
    assert all(score < 0 for score in scores)
    for beam in found["beams"]:
        assert beam["items"] >= 1
        # Without bound terms, a position has a word where it has a slot.
        assert [word is None for word in beam["words"]] == [not slot for slot in beam["slots"]]
    paths = [tuple(one["path"]) for one in found["items"]]
    assert paths[0] == tuple(found["beams"][0]["words"])
    both = given(workplace, "model", "search", title, *arguments, "--both", "--limit", "5")
    # An item whose own words are the whole query is among them, however little was learned.
    assert catalog_items(1)[0].id in [one["id"] for one in both["items"]]
    told = CliRunner().invoke(
        app,
        [
            *("model", "search", title, *arguments),
            *("--topology", str(workplace / "topology.yaml")),
        ],
    )
    assert "identifier of the query" in told.output


@pytest.mark.timeout(300)
def test_an_evaluation_compares_the_model_with_own_words_and_with_both(
    workplace: Path, trained: dict[str, Any]
) -> None:
    found = given(
        workplace,
        *("model", "evaluate", str(workplace / "model"), "--beam", "32"),
        *("--catalog", str(workplace / "feed.jsonl")),
        *("--behaviour", str(workplace / "behaviour.jsonl")),
    )
    assert found["pairs"] == len(catalog_items(ITEMS)[::3])
    for one in (found["model"], found["both"], found["own_words"]):
        rates = [one["hit_rate"][depth] for depth in ("10", "100", "350")]
        assert rates == sorted(rates)
    # The queries are the beginnings of titles, so own words find nearly all of them.
    assert found["own_words"]["hit_rate"]["350"] > 0.9
    assert found["p50_ms"] <= found["p99_ms"]


def test_a_model_for_another_codebook_is_refused_in_one_line(
    workplace: Path, trained: dict[str, Any]
) -> None:
    found = subprocess.run(
        [
            *(sys.executable, "-m", "kae.streams.cli.main", "model", "search", "toner"),
            *("--model", str(workplace / "model"), "--catalog", str(workplace / "feed.jsonl")),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert found.returncode == 1
    assert found.stderr.startswith("error: ")
    assert "was trained for codebook" in found.stderr
    assert len(found.stderr.splitlines()) == 1
