"""`kae groups fit` prints groups that topology.yaml takes, and draws how they came about."""

import subprocess
from pathlib import Path

import msgspec
import pytest
import yaml
from tests.icecat import CATALOG
from tests.warm import run_kae

from kae.encoders.categories import POSITIONS
from kae.streams.codebooks.fitted_groups import GroupsFitted
from kae.streams.topology.types import Topology


def groups_fit(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    ended = run_kae("groups", "fit", *arguments, cwd=folder)
    ended.check_returncode()
    return ended


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[GroupsFitted, Path, str]:
    folder = tmp_path_factory.mktemp("fit")
    ended = groups_fit(str(CATALOG[0]), "--out", "fitted", "--json", folder=folder)
    report = msgspec.json.decode(ended.stdout, type=GroupsFitted)
    return report, folder / "fitted", ended.stderr


def test_the_report_says_how_groups_came_about(ran: tuple[GroupsFitted, Path, str]) -> None:
    report, _, _ = ran
    assert report.fitted
    assert len(report.groups) == POSITIONS
    assert [step.groups_left for step in report.merges] == list(range(len(report.merges), 0, -1))
    losses = [step.cumulative_loss for step in report.merges]
    assert losses == sorted(losses)
    assert report.notes[0].startswith(f"the knee of the cumulative loss is at {report.knee}")


def test_the_section_is_one_of_a_topology(ran: tuple[GroupsFitted, Path, str]) -> None:
    report, folder, _ = ran
    section = yaml.safe_load((folder / "groups.yaml").read_text(encoding="utf-8"))
    topology = Topology.load().edited(section)
    assert [group.name for group in topology.groups] == [group.name for group in report.groups]


def test_the_picture_marks_the_knee_and_is_drawn_the_same_again(
    ran: tuple[GroupsFitted, Path, str], tmp_path: Path
) -> None:
    report, folder, _ = ran
    picture = (folder / "merges.svg").read_text(encoding="utf-8")
    assert f"knee at {report.knee}" in picture
    assert f"cut at {POSITIONS}" in picture
    for step in report.merges:
        assert all(f">{name}<" in picture for name in (*step.left, *step.right))
    groups_fit(str(CATALOG[0]), "--out", str(tmp_path), folder=tmp_path)
    assert (tmp_path / "merges.svg").read_text(encoding="utf-8") == picture


def test_too_little_to_merge_is_said(tmp_path: Path) -> None:
    (tmp_path / "feed.jsonl").write_text(
        '{"id": "1", "title": "red shoe"}\n{"id": "2", "title": "blue shoe"}\n'
    )
    ended = groups_fit("feed.jsonl", folder=tmp_path)
    assert "the declared groups stay: 2 items are too few" in ended.stderr
    declared = Topology.load().groups
    assert all(f"name: {group.name}," in ended.stdout for group in declared)
