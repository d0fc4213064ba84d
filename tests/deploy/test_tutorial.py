"""The tutorial, word for word, in a folder that has nothing but what it says.

KAE_TEST_FRESH=1 runs all of it in a fresh clone, its set-up included; else what is installed here
is borrowed, and the set-up left out.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.repository.command_blocks import Block, Step, blocks

from kae.deploy.processes import Process

ROOT = Path(__file__).parents[2]
TUTORIAL = blocks(ROOT / "docs" / "tutorial.md")
FRESH = bool(os.environ.get("KAE_TEST_FRESH"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a reader of the tutorial begins."""
    clone = tmp_path / "kae"
    if FRESH:
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    else:
        clone.mkdir()
        (clone / ".venv").symlink_to(sys.prefix)
    return clone


class Shell:
    """One of the reader's shells: what was exported in it stays so."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._exports: list[str] = []

    def script(self, commands: list[str]) -> str:
        script = "\n".join([*self._exports, *commands])
        self._exports += [one for one in commands if one.startswith("export ")]
        return script

    def type(self, step: Step) -> None:
        done = subprocess.run(
            ["sh", "-euc", self.script([step.command])],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=900 if FRESH else 60,
        )
        assert done.returncode == 0, f"{step.command}\n{done.stdout}{done.stderr}"
        assert step.is_shown_by(done.stdout), f"{step.command}\n{done.stdout}"


def left_running(block: Block, folder: Path) -> Process:
    *before, last = [step.command for step in block.steps]
    script = Shell(folder).script([*before, f"exec {last}"])
    return Process("tutorial", ["sh", "-euc", script], folder / "first-shell.log", cwd=folder)


@pytest.mark.long
@pytest.mark.timeout(1500 if FRESH else 240)
def test_the_tutorial_works_word_for_word(folder: Path) -> None:
    assert {block.language for block in TUTORIAL} == {"console"}
    (running,) = [n for n, block in enumerate(TUTORIAL) if "left running" in block.label]
    set_up, after = TUTORIAL[:running], TUTORIAL[running + 1 :]
    assert all("KAE_TEST_FRESH" in block.label for block in set_up)
    first, second = Shell(folder), Shell(folder)
    for step in [step for block in set_up for step in block.steps if FRESH]:
        first.type(step)
    with left_running(TUTORIAL[running], folder) as demo:
        demo.wait_ready(lambda kept: "Ctrl-C stops it" in kept.output(), within_seconds=100)
        for step in [step for block in after for step in block.steps]:
            second.type(step)
        assert demo.pid is not None
        assert (folder / ".kae" / "local.json").exists()
        os.killpg(demo.pid, signal.SIGINT)  # Ctrl-C
        assert demo.wait(30) == 0
        assert not (folder / ".kae" / "local.json").exists()
