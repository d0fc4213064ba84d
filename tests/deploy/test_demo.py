import subprocess
from pathlib import Path

import pytest

from kae.deploy import demo
from kae.deploy.demo_context import DemoFacts, TermFacts
from kae.deploy.processes import Process, kae_command
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.tagger.weights import PACKAGED

TERM, WHERE = "zzyq glow", 'brand = "hp" and not color = "black"'


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--where", "brand ~ x"], "'~' at character 7"),
        (["--term", "!!"], "has no letter or digit"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(
    options: list[str], reason: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        kae_command("demo", "run", *options),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert reason in done.stderr
    assert not done.stdout


def test_a_claim_that_does_not_hold_is_named() -> None:
    facts = DemoFacts(
        items_published=10,
        items_indexed=9,
        dead_letters=0,
        events_per_second=1.0,
        term=TermFacts(
            unreachable_before=True,
            attached_items=1,
            time_to_effect_ms=1,
            reachable=True,
            unreachable_after_release=True,
        ),
        killed_worker_recovered=False,
        replica_equals_log=True,
    )
    assert facts.broken_claims() == [
        "every published item is indexed",
        "a killed worker loses nothing",
    ]


@pytest.mark.alone
def test_the_demo_proves_every_claim_with_a_word_of_mine_and_a_tagger_that_reads_titles(
    tmp_path: Path,
) -> None:
    options = ("--codebook", "full", "--limit", "300", "--term", TERM, "--where", WHERE, "--json")
    with Process("demo", kae_command("demo", "run", *options), tmp_path / "demo.log") as told:
        assert told.wait(120) == 0, told.last_words()
        facts = told.report()
    term = facts.pop("term")
    assert facts.pop("events_per_second") > 0
    assert facts == {
        "items_published": 300,
        "items_indexed": 300,
        "dead_letters": 0,
        "killed_worker_recovered": True,
        "replica_equals_log": True,
    }
    assert term.pop("attached_items") > 0
    assert 0 < term.pop("time_to_effect_ms") < 5000
    assert term == {
        "unreachable_before": True,
        "reachable": True,
        "unreachable_after_release": True,
    }


def test_the_full_codebook_that_ships_names_the_tagger_that_ships() -> None:
    light, full = (
        Codebook.load(Path(demo.__file__).parent / folder)
        for folder in ("codebook", "codebook-full")
    )
    assert light.tagger is None
    assert full.tagger is not None
    assert full.tagger.folder == PACKAGED
    assert full.groups == light.groups
