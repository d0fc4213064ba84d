"""Bad input is told in one line that says what to do, before anything is begun; no broker runs."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.warm import run_kae

from kae.deploy.brokers import free_port
from kae.streams.errors import StoreFolderUnusable
from kae.streams.runtime.folders import hold_folder
from kae.streams.topology.types import Topology

FEED = '{"id": 1, "title": "x"}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a feed, and a topology whose broker and replica do not run."""
    nobody = {"kafka.bootstrap": free_port(), "replica.listen": free_port()}
    topology = Topology.load().edited({name: f"127.0.0.1:{port}" for name, port in nobody.items()})
    topology.write(tmp_path / "mine.yaml")
    (tmp_path / "feed.jsonl").write_text(FEED)
    return tmp_path


def said(folder: Path, *arguments: str, within_seconds: float = 60) -> str:
    """The one line that the command ends with; asserts that it fails and leaves nothing behind."""
    before = sorted(folder.rglob("*"))
    env = {**os.environ, "KAE_TOPOLOGY": str(folder / "mine.yaml"), "COLUMNS": "80"}
    ended = run_kae(*arguments, cwd=folder, env=env, within_seconds=within_seconds)
    assert ended.returncode == 1, ended
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: "), ended.stderr
    assert sorted(folder.rglob("*")) == before
    return line


# Catalogs.


@pytest.mark.parametrize("command", [("catalog", "ingest"), ("catalog", "inspect")])
@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("gone.csv", None, "cannot be read: No such file or directory; give a readable file"),
        ("empty.csv", "", "is empty; fetch it again"),
        ("feed.xlsx", "x", "is no format that kae reads; use one of .parquet"),
        ("other.csv", "kind,kind of\na,b\na,b\n", "column"),
    ],
)
def test_a_bad_catalog(
    command: tuple[str, ...], name: str, content: str | None, told: str, folder: Path
) -> None:
    if content is not None:
        (folder / name).write_text(content)
    line = said(folder, *command, name)
    assert name in line
    assert told in line


def test_a_catalog_without_the_named_columns_names_inspect(folder: Path) -> None:
    (folder / "other.csv").write_text("sku,name\n1,x\n")
    assert "kae catalog inspect other.csv" in said(folder, "catalog", "ingest", "other.csv")
    line = said(folder, "codebook", "build", "other.csv", "--out", "codebook")
    assert "has no column 'id', which catalog.id names; its columns are sku, name" in line


# Topologies.


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("shards: ", "shard: 3\nshards: ", "mine.yaml:2: shard is not a key that kae knows"),
        ("shards: 8", "shards: eight", "shards is 'eight'"),
        ("shards: 8", "shards: 0", "shards is 0"),
        ("shards: 8", "shards: 8\nshards: 9", "shards is given twice, first on line 2"),
        ("shards: 8", "shards: [", "mine.yaml:"),
    ],
)
@pytest.mark.parametrize("command", [("worker", "run"), ("status",), ("topology", "check")])
def test_a_bad_topology(
    old: str, new: str, told: str, command: tuple[str, ...], folder: Path
) -> None:
    mine = folder / "mine.yaml"
    mine.write_text(mine.read_text().replace(old, new, 1))
    assert told in said(folder, *command)


def test_a_topology_that_is_not_there(folder: Path) -> None:
    line = said(folder, "replica", "run", "--topology", "nowhere.yaml")
    assert "nowhere.yaml: cannot be read: No such file or directory; give --topology FILE" in line


# Codebooks.


@pytest.mark.parametrize("command", ["worker", "replica"])
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda path: path / "nowhere", "no codebook"),
        (lambda path: cut(path, "codebook.json"), "codebook.json: "),
        (lambda path: cut(path, "words.tsv"), "words.tsv: its hash is"),
    ],
)
def test_a_missing_or_damaged_codebook(
    command: str, damage: Callable[[Path], Path], told: str, folder: Path, codebook_folder: Path
) -> None:
    mine = folder / "codebook"
    mine.mkdir()
    for file in codebook_folder.iterdir():
        (mine / file.name).write_bytes(file.read_bytes())
    topology = Topology.load(folder / "mine.yaml")
    topology.edited({"codebook.path": str(damage(mine))}).write(folder / "mine.yaml")
    line = said(folder, command, "run")
    assert told in line
    assert "kae codebook build" in line


def cut(codebook: Path, name: str) -> Path:
    (codebook / name).write_bytes((codebook / name).read_bytes()[:-20])
    return codebook


# Brokers.

WITH_BROKER = [
    ("worker", "run"),
    ("replica", "run"),
    ("catalog", "ingest", "feed.jsonl"),
    ("term", "bind", "x", "--match", "y"),
    ("term", "release", "x"),
    ("log", "verify"),
    ("topics", "apply"),
]


@pytest.mark.parametrize("command", WITH_BROKER)
def test_a_broker_that_does_not_run(command: tuple[str, ...], folder: Path) -> None:
    (folder / "feed.jsonl").write_text('{"id": 1, "title": "x", "description": ""}\n')
    line = said(folder, *command)
    assert "Kafka does not answer (127.0.0.1:" in line
    assert "Connection refused); start it, or name another with --bootstrap" in line


def test_status_says_what_it_could_not_ask(folder: Path) -> None:
    env = {**os.environ, "KAE_TOPOLOGY": str(folder / "mine.yaml")}
    ended = run_kae("status", cwd=folder, env=env, within_seconds=60)
    assert (ended.returncode, ended.stderr) == (1, "")
    replica, kafka = ended.stdout.splitlines()
    assert replica.startswith("not asked: no replica answers at http://")
    assert kafka.startswith("not asked: Kafka does not answer (127.0.0.1:")


@pytest.fixture
def mute() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("command", [("worker", "run"), ("term", "bind", "x", "--match", "y")])
def test_a_broker_that_never_answers(command: tuple[str, ...], folder: Path, mute: str) -> None:
    changes = {"kafka.bootstrap": mute, "kafka.request_timeout_seconds": 2.0}
    topology = Topology.load(folder / "mine.yaml").edited(changes)
    topology.write(folder / "mine.yaml")
    assert f"Kafka does not answer ({mute}: " in said(folder, *command)


def test_an_address_that_is_none(folder: Path) -> None:
    line = said(folder, "topics", "apply", "--bootstrap", "localhost")
    assert "kafka.bootstrap is 'localhost': an address is host:port" in line


def test_a_replica_address_that_is_none(folder: Path) -> None:
    line = said(folder, "item", "explain", "1", "--replica", "http://[::")
    assert "'http://[::' is no address" in line
    assert "write --replica http://HOST:PORT" in line


# Folders of stores.


def test_a_folder_is_held_by_one_process_of_a_kind(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "stores"
    with hold_folder(folder, "worker"):
        with (
            pytest.raises(StoreFolderUnusable, match=r"another worker .* its own with --data"),
            hold_folder(folder, "worker"),
        ):
            raise AssertionError("held twice")
        with hold_folder(folder, "replica"):
            pass
    with hold_folder(folder, "worker"):
        pass


def test_a_folder_that_is_a_file_or_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    # /dev/fd is no place for folders, whoever asks.
    for place in (tmp_path / "file", tmp_path / "file" / "inside", Path("/dev/fd/kae")):
        with (
            pytest.raises(StoreFolderUnusable, match=r"cannot hold stores: .* --data"),
            hold_folder(place, "worker"),
        ):
            raise AssertionError(f"{place} was held")
