"""Processes that take or fetch snapshots are killed with SIGKILL at random moments.

KAE_KILLS is the number of kills. `test_snapshots.py` kills at every operation in turn.
"""

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.sinks.test_snapshots import anything, clean

from kae.sinks.snapshots.archive import Archive
from kae.sinks.snapshots.fetch import fetch_newest_first
from kae.sinks.snapshots.prune import survey
from kae.sinks.store.store import ShardStore

KILLS = int(os.environ.get("KAE_KILLS", "6"))
ROOT = Path(__file__).parents[2]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive.open(str(tmp_path / "archive"), "log/0")


def killed(what: str, folder: Path, after_seconds: float) -> list[str]:
    """Run the process, kill it some time after its first round; returns the rounds it printed."""
    argv = [sys.executable, "-m", "tests.sinks.endless_snapshots", what, str(folder)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        rounds = [process.stdout.readline().strip()]
        timer = threading.Timer(after_seconds, process.kill)
        timer.start()
        rounds += [line.strip() for line in process.stdout if line.endswith("\n")]
        timer.join()
    assert process.returncode == -9
    return rounds


def is_as_taken(folder: Path, root: Path) -> int:
    """The version of a store; asserts that its rows are those that were taken."""
    store = ShardStore(folder, read_only=True)
    try:
        store.check()
        assert repr(store.dump()) == (root / f"{store.state.version}.rows").read_text()
        return store.state.version
    finally:
        store.close()


def test_a_reported_snapshot_survives_any_kill_and_half_a_snapshot_is_none(
    archive: Archive, tmp_path: Path
) -> None:
    moments = random.Random(1)
    for _ in range(KILLS):
        taken = killed("take", tmp_path, moments.uniform(0, 0.2))
        next(
            fetch_newest_first(
                archive, tmp_path / "fetched" / "store", anything, lambda _reason: None
            )
        )
        assert is_as_taken(tmp_path / "fetched" / "store", tmp_path) >= int(taken[-1])
    clean(archive)
    found = survey(archive, set())
    assert not found.broken
    (left,) = found.whole.values()
    assert archive.blobs().keys() == {file.blake2b for file in left.files}
    assert archive.trash() == {}


def test_a_killed_fetch_leaves_a_whole_store_or_none(archive: Archive, tmp_path: Path) -> None:
    killed("take", tmp_path, 0.2)
    moments = random.Random(2)
    for _ in range(KILLS):
        killed("fetch", tmp_path, moments.uniform(0, 0.05))
        if (tmp_path / "fetched" / "store").exists():
            assert is_as_taken(tmp_path / "fetched" / "store", tmp_path) > 0
    next(
        fetch_newest_first(archive, tmp_path / "fetched" / "store", anything, lambda _reason: None)
    )
    assert is_as_taken(tmp_path / "fetched" / "store", tmp_path) > 0
    assert not (tmp_path / "fetched" / "store.fetching").exists()
