"""`kae codebook fit | evaluate | show | diff`: what a codebook holds, how well, what changed."""

import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest
import yaml
from tests.icecat import catalog_items
from tests.warm import run_kae

from kae.deploy.processes import kae_command
from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.fitting.build import build_codebook
from kae.encoders.items import Item
from kae.streams.codebooks.diff import CodebooksDiffer, diff_items
from kae.streams.codebooks.fit import CodebookFitted
from kae.streams.codebooks.opening import open_codebook
from kae.streams.codebooks.quality import CodebookEvaluated
from kae.streams.codebooks.summary import CodebookShown
from kae.streams.errors import CodebookDiffers
from kae.streams.topology.types import Topology

pytestmark = pytest.mark.long

ITEMS = 600


def kae(*arguments: object) -> tuple[str, str]:
    ended = run_kae("codebook", *map(str, arguments))
    ended.check_returncode()
    return ended.stdout, ended.stderr


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return catalog_items(ITEMS)


@pytest.fixture(scope="module")
def feed(items: list[Item], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("feed") / "feed.jsonl"
    rows = (
        {"id": item.id, "title": item.title, "description": item.description, **item.fields}
        for item in items
    )
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return path


def built(items: list[Item], folder: Path) -> Path:
    topology = Topology.load()
    small = [replace(group, capacity=512, reserved=16) for group in topology.codebook_groups]
    build_codebook(lambda: items, small, topology.catalog.fields, folder)
    return folder


@pytest.fixture(scope="module")
def folder(items: list[Item], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(items, tmp_path_factory.mktemp("codebook"))


def test_a_codebook_is_measured_beside_closed_ones_of_its_size(folder: Path, feed: Path) -> None:
    out, err = kae("evaluate", folder, feed, "--json")
    report = msgspec.json.decode(out, type=CodebookEvaluated)
    assert report.items == ITEMS
    assert report.fingerprint == Codebook.load(folder).fingerprint
    assert 0.5 < report.icr < report.coverage <= 1
    assert len(report.cur) == 6
    closed = {"rq_kmeans", "rq_vae"} if find_spec("torch") else {"rq_kmeans"}
    assert set(report.baselines) == closed
    assert ("no rq_vae: it needs the module torch" in err) == ("rq_vae" not in closed)
    assert report.baselines["rq_kmeans"].coverage == 1.0
    assert report.baselines["rq_kmeans"].icr > 0.9
    again = msgspec.json.decode(kae("evaluate", folder, feed, "--json")[0], type=CodebookEvaluated)
    assert again == msgspec.structs.replace(report, seconds=again.seconds)


def test_an_installed_package_says_that_only_a_clone_has_rq_vae(
    feed: Path, folder: Path, tmp_path: Path
) -> None:
    """As the wheel has it: every file but those that pyproject.toml excludes from it."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Excluded:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'kae.encoders.fitting.rq_vae':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Excluded())\n"
    )
    ended = subprocess.run(
        kae_command("codebook", "evaluate", str(folder), str(feed), "--json"),
        capture_output=True,
        encoding="utf-8",
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )
    assert set(msgspec.json.decode(ended.stdout, type=CodebookEvaluated).baselines) == {"rq_kmeans"}
    (warning,) = ended.stderr.splitlines()
    assert warning.endswith(
        "no rq_vae: the installed package does not contain it; run the command in a clone of the "
        "repository, with the extra `neural`"
    )


def test_a_codebook_shows_what_each_position_holds(folder: Path) -> None:
    shown = msgspec.json.decode(kae("show", folder, "--words", 2, "--json")[0], type=CodebookShown)
    codebook = Codebook.load(folder)
    assert (shown.fingerprint, shown.format, shown.catalog_items) == (
        codebook.fingerprint,
        1,
        ITEMS,
    )
    assert sum(each.words for each in shown.positions) == len(codebook.words)
    for each in shown.positions:
        assert each.clusters == 0
        assert 1 + each.solo + each.free + each.reserved == each.capacity
        for head in each.head_words:
            assert codebook.word_at(each.position, head.index) is not None
    assert [head.index for head in shown.positions[0].head_words] == [1, 2]
    assert "model-modifier: " in kae("show", folder)[0]


def test_a_word_that_only_one_codebook_has_is_added_and_moves_its_items(
    folder: Path, feed: Path, items: list[Item], tmp_path: Path
) -> None:
    changed = [
        Item(item.id, item.title, item.description, {**item.fields, "brand": "Zorblax"})
        if number < 3
        else item
        for number, item in enumerate(items)
    ]
    other = built(changed, tmp_path / "other")
    out, _ = kae("diff", folder, other, feed, "--most", 50, "--json")
    difference = msgspec.json.decode(out, type=CodebooksDiffer)
    assert not difference.same
    (zorblax,) = [word for word in difference.words if word.word == "zorblax"]
    assert (zorblax.category, zorblax.was) == ("brand", None)
    assert zorblax.becomes is not None
    assert (zorblax.becomes.group, zorblax.becomes.head) == ("brand-audience", "zorblax")
    assert difference.items is not None
    assert difference.items.items == ITEMS
    assert difference.items.moved < difference.items.renumbered <= ITEMS
    branded = [Item("1", "thing", fields={"brand": "Zorblax"}), items[0]]
    moved = diff_items(Codebook.load(folder), Codebook.load(other), branded, 2)
    brand = Codebook.load(folder).position_of(CATEGORY_INDEX["brand"])
    assert [(item.id, item.was[brand], item.becomes[brand]) for item in moved.first_moved] == [
        ("1", None, "zorblax")
    ]
    assert "zorblax" in kae("diff", folder, other)[0]


def test_a_codebook_is_the_same_as_itself(folder: Path) -> None:
    difference = msgspec.json.decode(kae("diff", folder, folder, "--json")[0], type=CodebooksDiffer)
    assert difference.same
    assert (difference.added, difference.removed, difference.moved, difference.words) == (
        0,
        0,
        0,
        (),
    )


def test_a_fitted_codebook_runs_with_the_groups_that_it_comes_with(
    feed: Path, tmp_path: Path
) -> None:
    out, err = kae("fit", feed, "--out", tmp_path / "fitted", "--json")
    report = msgspec.json.decode(out, type=CodebookFitted)
    assert report.groups.fitted
    assert "the knee of the cumulative loss" in " ".join(report.groups.notes)
    assert report.quality.coverage > 0.5
    assert report.peak_memory_bytes < 3 * 2**30
    assert all(each.words_without_slot == 0 for each in report.codebook.positions)
    assert err == ""
    groups = yaml.safe_load((tmp_path / "fitted" / "groups.yaml").read_text(encoding="utf-8"))
    topology = Topology.load().edited({**groups, "codebook.path": str(tmp_path / "fitted")})
    assert open_codebook(topology).fingerprint == report.codebook.fingerprint
    with pytest.raises(CodebookDiffers, match="built with other groups"):
        open_codebook(Topology.load().edited({"codebook.path": str(tmp_path / "fitted")}))


def test_fitting_can_keep_the_declared_groups(feed: Path, tmp_path: Path) -> None:
    out, _ = kae("fit", feed, "--out", tmp_path, "--declared-groups", "--json")
    report = msgspec.json.decode(out, type=CodebookFitted)
    assert not report.groups.fitted
    assert Codebook.load(tmp_path).groups == Topology.load().codebook_groups
