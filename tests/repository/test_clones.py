"""A clone and a wheel: which code `kae` runs, and what is in the package."""

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
# Folder in the repository -> package; src/kae has a link for each.
PACKAGES = {
    "encoders": "encoders",
    "sinks": "sinks",
    "streams": "streams",
    "deploy/local": "deploy",
}
# PYTHONPATH would lead every clone to the same code.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
NOT_IN_THE_WHEEL = "encoders/fitting/rq_vae.py"
DATA = (
    "kae/topology.yaml",
    "kae/deploy/codebook/codebook.json",
    "kae/deploy/kafka/pom.xml",
    "kae/encoders/data/brands.tsv",
    "kae/encoders/py.typed",
    "kae/encoders/tagger/weights/weights.safetensors",
    "kae/streams/console/static/console.js",
    "kae/streams/console/templates/base.html",
    "kae/streams/replica/page/index.html",
)


def tracked(*folders: str) -> list[str]:
    """Paths of the files that git tracks and that are in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", *folders], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [path for path in listed.stdout.split("\0") if path and os.path.lexists(ROOT / path)]


def modules() -> list[str]:
    return [path for path in tracked(*PACKAGES) if path.endswith(".py")]


def package_path(path: str) -> str:
    """Where a file of the repository is below kae/."""
    (folder,) = (each for each in PACKAGES if path.startswith(f"{each}/"))
    return PACKAGES[folder] + path.removeprefix(folder)


def clone(folder: Path) -> Path:
    """The tracked files of this working tree, links kept as links."""
    for path in tracked():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, target, follow_symlinks=False)
    return folder


def install(folder: Path) -> Path:
    """A fresh environment with the clone installed in it; third-party packages are borrowed."""
    environment = folder / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(environment)})
    # The .pth files of the other environment, kae's among them, are not read this way.
    Path(packages, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip(environment / "bin" / "python", "install", "--editable", folder)
    return environment / "bin"


def pip(python: Path | str, command: str, *arguments: Path | str) -> None:
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, command, *options, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )


def output(*command: Path | str) -> str:
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd="/", env=ENVIRONMENT
    )
    return done.stdout


@pytest.mark.timeout(240)
def test_two_clones_side_by_side_run_their_own_code(tmp_path: Path) -> None:
    folders = [clone(tmp_path / name) for name in ("one", "two")]
    changed = folders[1] / "streams" / "cli" / "main.py"
    changed.write_text(changed.read_text().replace("A streaming indexer", "The other clone"))
    for folder, is_changed in zip(folders, (False, True), strict=True):
        programs = install(folder)
        where = output(
            programs / "python",
            "-c",
            "import kae.streams.replica.embedded as module; print(module.__file__)",
        )
        assert Path(where.strip()).resolve() == folder / "streams/replica/embedded.py"
        assert output(programs / "kae", "--version").strip() == version("kae")
        assert ("The other clone" in output(programs / "kae", "--help")) == is_changed


@pytest.mark.timeout(240)
def test_a_wheel_of_a_clone_has_one_package_with_its_data_and_no_tools(tmp_path: Path) -> None:
    folder = clone(tmp_path / "clone")
    pip(sys.executable, "wheel", "--wheel-dir", tmp_path, folder)
    (wheel,) = tmp_path.glob("kae-*.whl")
    names = set(ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names} == {"kae", f"kae-{version('kae')}.dist-info"}
    assert {name for name in names if name.startswith("kae/") and name.endswith(".py")} == {
        f"kae/{package_path(path)}" for path in modules() if path != NOT_IN_THE_WHEEL
    }
    assert set(DATA) <= names


def test_every_module_is_found_below_src_by_relative_links() -> None:
    links = {path: (ROOT / path).readlink() for path in tracked("src")}
    assert links.keys() == {"src/kae/bench", *(f"src/kae/{name}" for name in PACKAGES.values())}
    assert [path for path, target in links.items() if target.is_absolute()] == []
    found = {path: ROOT / "src" / "kae" / package_path(path) for path in modules()}
    assert found
    assert [path for path, below in found.items() if below.resolve() != ROOT / path] == []


def test_every_import_of_kae_leads_to_a_tracked_file() -> None:
    files = {(ROOT / path).resolve() for path in tracked() if path.endswith(".py")}
    lost = {
        f"{path}: {name}"
        for path in tracked()
        if path.endswith(".py") and not path.startswith("src/")
        for name in imported(ROOT / path)
        if source_of(name) not in files
    }
    assert lost == set()


def imported(path: Path) -> set[str]:
    """The modules of kae that a file names in its imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name for name in names if name.startswith("kae.")}


def source_of(module: str) -> Path:
    base = ROOT.joinpath("src", *module.split("."))
    package, file = base / "__init__.py", base.with_suffix(".py")
    return (package if package.exists() else file).resolve()


@pytest.mark.parametrize("package", ["encoders", "sinks", "streams", "deploy"])
def test_a_package_cannot_be_imported_without_kae(package: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {package}"],
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
