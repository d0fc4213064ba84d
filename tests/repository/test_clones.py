"""A clone runs its own code, whatever lies beside it."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def clone(folder: Path) -> Path:
    """This working tree, without its history and its environment."""
    names = ("encoders", "sinks", "streams", "deploy", "tests", ".ci")
    files = ("pyproject.toml", "constraints.txt", "topology.yaml", "README.md", "LICENSE")
    for name in names:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in files:
        shutil.copy(ROOT / name, folder / name)
    return folder


def set_up(folder: Path) -> None:
    """What `make setup` does, but that third-party packages are borrowed and not installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(folder / ".venv")})
    # The .pth files of the other environment are not read this way, kae's among them.
    Path(packages, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run([folder / ".ci" / "link", "live"], check=True, capture_output=True)


def kae(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [folder / ".venv" / "bin" / "kae", *arguments],
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
    )
    return done.stdout


@pytest.mark.timeout(120)
def test_two_clones_side_by_side_run_their_own_code(tmp_path: Path) -> None:
    folders = [clone(tmp_path / name) for name in ("one", "two")]
    for folder in folders:
        set_up(folder)
    changed = folders[1] / "streams" / "cli" / "main.py"
    changed.write_text(changed.read_text().replace("A streaming indexer", "The other clone"))
    for folder in folders:
        rooms = dict(line.split("\t") for line in kae(folder, "--where").splitlines())
        assert rooms == {
            "kae.deploy": str(folder / "deploy" / "local"),
            "kae.streams": str(folder / "streams"),
            "kae.sinks": str(folder / "sinks"),
            "kae.encoders": str(folder / "encoders"),
        }
    assert "The other clone" not in kae(folders[0], "--help")
    assert "The other clone" in kae(folders[1], "--help")


@pytest.mark.parametrize("room", ["encoders", "sinks", "streams", "deploy"])
def test_a_room_cannot_be_imported_by_its_bare_name(room: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {room}"],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "ModuleNotFoundError" in done.stderr


def test_a_replica_loads_neither_faust_nor_what_only_workers_need() -> None:
    heavy = {"torch", "transformers", "apache_beam", "faust", "aiokafka", "pyarrow"}
    heavy |= {"sklearn", "scipy", "matplotlib"}
    program = "import sys, kae.streams.replica.process; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd="/", capture_output=True, text=True, check=True
    )
    assert heavy.isdisjoint(done.stdout.split())
    assert "kae.sinks.trie.trie" in done.stdout.split()


@pytest.mark.parametrize(
    ("need", "named"), [("java", "Java 17"), ("maven", "Maven"), ("chromium", "Chromium")]
)
def test_what_is_missing_is_named_before_anything_starts(
    need: str, named: str, tmp_path: Path
) -> None:
    for tool in ("sh", "sed", "head", "dirname"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    done = subprocess.run(
        [ROOT / ".ci" / "check", need],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"kae: {named}")
    assert done.stderr.count("\n") == 1
