"""Snapshots that are killed, altered, truncated or pruned during uploads: detected or harmless."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations, pairwise
from pathlib import Path
from threading import Semaphore, Thread
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from tests.sinks.faulty_filesystem import FaultyFileSystem, Killed, KilledAt

from kae.sinks.log.edits import Counts, Delta, DropItem, SourceRange, encode_edit
from kae.sinks.log.fold import LogState
from kae.sinks.snapshots.archive import Archive, ArchiveUnreachable
from kae.sinks.snapshots.fetch import broken_files, fetch_newest_first
from kae.sinks.snapshots.manifest import Manifest, SnapshotOrigin
from kae.sinks.snapshots.prune import plan_prune, prune, survey
from kae.sinks.snapshots.take import TakenSnapshot, take_snapshot
from kae.sinks.store import keys
from kae.sinks.store.state import StoreState
from kae.sinks.store.store import ShardStore

LONG_AGO, GRACE = 1, 1000
AFTERWARDS = 1 << 50  # beyond every grace
ORIGIN = SnapshotOrigin("log/0", 1, 0, "w", LONG_AGO)
Rows = dict[str, list[tuple[bytes, bytes]]]


class Growing:
    """A store that grows by a delta at a time, and its snapshots."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = ShardStore(root / "store", 1 << 16)
        self.rows: dict[int, Rows] = {}

    def grow(self) -> None:
        version = self.store.state.version + 1
        edits = [DropItem(f"item-{version}-{n}", -1, n, os.urandom(8)) for n in range(20)]
        raw = tuple(msgspec.Raw(encode_edit(edit)) for edit in edits)
        delta = Delta(1, version, bytes(16), 0, 1, 0, SourceRange(version), Counts(), raw)
        state = LogState(epoch=1, version=version, hash=os.urandom(16), offset=version, tail=b"t")
        self.store.apply(delta, state)
        self.rows[version] = self.store.dump()

    def checkpoint(self) -> Path:
        folder = self.root / "checkpoints" / uuid4().hex
        self.store.checkpoint(folder)
        return folder

    def take(self, archive: Archive) -> TakenSnapshot:
        """A snapshot of one version more."""
        self.grow()
        return self.put(archive, self.checkpoint())

    def put(self, archive: Archive, checkpoint: Path) -> TakenSnapshot:
        return take_snapshot(archive, checkpoint, self.store.state, ORIGIN)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Growing]:
    made = Growing(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive.open(str(tmp_path / "archive"), "log/0")


def anything(_: Manifest) -> str:
    return ""


def newest(archive: Archive, source: Growing) -> tuple[int, list[str]]:
    """The version of the newest snapshot that can be opened, and what was passed over for it."""
    rejected: list[str] = []
    folder = source.root / "fetched" / "store"
    for manifest in fetch_newest_first(archive, folder, anything, rejected.append):
        store = ShardStore(folder, 1 << 16)
        try:
            assert store.state.version == manifest.version
            assert store.dump() == source.rows[manifest.version]
        finally:
            store.close()
        return manifest.version, rejected
    return 0, rejected


def path_of(archive: Archive, *parts: str) -> Path:
    return Path(archive.folder, *parts)


def test_a_snapshot_is_the_store_at_its_version_without_later_deltas(
    source: Growing, archive: Archive
) -> None:
    taken = source.take(archive)
    source.grow()
    assert newest(archive, source) == (1, [])
    state = source.store.state
    assert (taken.manifest.version, taken.manifest.offset) == (1, 1)
    assert (taken.manifest.tail, taken.manifest.shard) == (state.tail.hex(), 0)


def test_only_new_files_are_uploaded(source: Growing, archive: Archive) -> None:
    first, second = source.take(archive), source.take(archive)
    assert first.sent == {file.blake2b for file in first.manifest.files}
    assert second.sent < {file.blake2b for file in second.manifest.files}
    assert not second.sent & first.sent
    assert source.put(archive, source.checkpoint()).sent_bytes < second.manifest.bytes


def test_a_snapshot_killed_at_any_operation_does_not_exist_and_the_next_is_whole(
    source: Growing, tmp_path: Path
) -> None:
    source.grow()
    before = source.checkpoint()
    state_before = source.store.state
    source.grow()
    checkpoint = source.checkpoint()
    for amid in (False, True):
        at, operations = 0, 0
        while at <= operations:
            folder = tmp_path / f"archive-{at}-{amid}"
            archive = Archive(LocalFileSystem(), str(folder))
            take_snapshot(archive, before, state_before, ORIGIN)
            edge = KilledAt(at, amid)
            try:
                source.put(Archive(edge, str(folder)), checkpoint)
            except Killed:
                found, rejected = newest(archive, source)
                assert found == 2 or (found == 1 and len(rejected) <= 1)
                operations = at + 1
            again = source.put(archive, checkpoint)
            assert newest(archive, source)[0] == 2
            assert not broken_files(archive, again.manifest, set())
            clean(archive)
            assert archive.manifests() == [again.name]
            assert archive.blobs().keys() == {file.blake2b for file in again.manifest.files}
            assert newest(archive, source) == (2, [])
            at += 1
        assert operations > 5


def test_any_flipped_byte_or_truncation_is_named_and_the_former_snapshot_is_used(
    source: Growing, archive: Archive
) -> None:
    first, second = source.take(archive), source.take(archive)
    shared = {file.blake2b for file in first.manifest.files}
    broken = [(path_of(archive, keys.MANIFESTS, second.name), second.name)]
    broken += [
        (path_of(archive, keys.BLOBS, file.blake2b), file.name)
        for file in second.manifest.files
        if file.bytes and file.blake2b not in shared
    ]
    assert len(broken) > 3
    for path, name in broken:
        whole = path.read_bytes()
        for at in range(0, len(whole), max(1, len(whole) // 12)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
            version, (reason,) = newest(archive, source)
            assert version == 1
            assert name in reason
            path.write_bytes(whole[:at])
            version, (reason,) = newest(archive, source)
            assert (version, name in reason) == (1, True)
            assert "cut" in reason
        path.unlink()
        assert newest(archive, source)[0] == 1
        path.write_bytes(whole)
    assert newest(archive, source) == (2, [])


def test_an_altered_file_is_named_by_a_survey_and_uploaded_again_after_pruning(
    source: Growing, archive: Archive
) -> None:
    taken = source.take(archive)
    table = max(taken.manifest.files, key=lambda file: file.bytes)
    blob = path_of(archive, keys.BLOBS, table.blake2b)
    whole = blob.read_bytes()
    blob.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    again = source.put(archive, source.checkpoint())
    assert table.blake2b not in again.sent  # nothing tells yet
    found = survey(archive, set())
    assert found.damaged == {table.blake2b}
    assert not found.whole
    (reason, *_) = found.broken[taken.name]
    assert f"file {table.name} was altered" in reason
    prune(archive, plan_prune(archive, 1, GRACE, LONG_AGO, set()))
    assert archive.manifests() == sorted({taken.name, again.name}, reverse=True)
    healed = source.put(archive, source.checkpoint())
    assert table.blake2b in healed.sent
    assert newest(archive, source)[0] == 1


def test_pruning_keeps_the_newest_whole_snapshots_and_young_files(
    source: Growing, archive: Archive
) -> None:
    taken = [source.take(archive) for _ in range(5)]
    orphan = path_of(archive, keys.BLOBS, "0" * 32)
    orphan.write_bytes(b"of a snapshot that was killed")
    path_of(archive, keys.MANIFESTS, taken[4].name).write_bytes(b"cut")
    young = plan_prune(archive, 2, GRACE, LONG_AGO, set())
    assert (young.drop, young.blobs) == ((), {})
    old = plan_prune(archive, 2, GRACE, AFTERWARDS, set())
    assert list(old.keep) == [taken[3].name, taken[2].name]
    assert set(old.drop) == {taken[n].name for n in (0, 1, 4)}
    prune(archive, old)
    assert archive.manifests() == [taken[3].name, taken[2].name]
    assert archive.blobs().keys() == {
        file.blake2b for n in (2, 3) for file in taken[n].manifest.files
    }
    assert archive.trash() == {}
    assert newest(archive, source) == (4, [])


def test_pruning_keeps_everything_if_no_snapshot_is_whole(
    source: Growing, archive: Archive
) -> None:
    taken = [source.take(archive) for _ in range(3)]
    for one in taken:
        path_of(archive, keys.BLOBS, one.manifest.files[-1].blake2b).unlink(missing_ok=True)
    clean(archive)
    assert archive.manifests() == [one.name for one in reversed(taken)]


def test_pruning_killed_at_any_operation_harms_no_kept_snapshot(
    source: Growing, tmp_path: Path
) -> None:
    checkpoints = []
    for _ in range(3):
        source.grow()
        checkpoints.append((source.checkpoint(), source.store.state))
    at, done = 0, False
    while not done:
        folder = tmp_path / f"archive-{at}"
        archive = Archive(LocalFileSystem(), str(folder))
        for checkpoint, state in checkpoints:
            take_snapshot(archive, checkpoint, state, ORIGIN)
        planned = plan_prune(archive, 1, GRACE, AFTERWARDS, set())
        try:
            prune(Archive(KilledAt(at, amid=False), str(folder)), planned)
            done = True
        except Killed:
            assert newest(archive, source) == (3, [])
        clean(archive)
        assert len(archive.manifests()) == 1
        assert archive.trash() == {}
        assert newest(archive, source) == (3, [])
        at += 1
    assert at > 10


class Turns:
    """Lets two threads take their steps in a given order; who is done leaves the rest to one."""

    def __init__(self, order: list[bool]) -> None:
        self._order = order
        self._here = (Semaphore(0), Semaphore(0))
        self._go = (Semaphore(0), Semaphore(0))
        self._steps: list[str] = []  # of the second

    def step(self, who: int) -> Callable[[str], None]:
        def wait(name: str) -> None:
            self._here[who].release()
            self._go[who].acquire()
            if who:
                self._steps.append(name)

        return wait

    def run(self, *works: Callable[[], Any]) -> tuple[Any, list[str]]:
        """What the first returns, and the steps of the second."""
        alive, results = [True, True], list[Any]([None, None])

        def work(who: int) -> None:
            try:
                results[who] = works[who]()
            except BaseException as error:
                results[who] = error
            alive[who] = False
            self._here[who].release()

        threads = [Thread(target=work, args=(who,), daemon=True) for who in (0, 1)]
        for who, thread in enumerate(threads):
            thread.start()
            self._here[who].acquire()
        order = iter(self._order)
        while any(alive):
            who = int(next(order, False))
            who = who if alive[who] else 1 - who
            self._go[who].release()
            self._here[who].acquire()
        for thread, result in zip(threads, results, strict=True):
            thread.join()
            if isinstance(result, BaseException):
                raise result
        return results[0], self._steps


STEPS_OF_UPLOAD, STEPS_OF_PRUNING = 5, 14
# How often the upload may be interrupted, plus one. All 11,628 orders take two minutes.
BURSTS = 2


@pytest.mark.parametrize("superseded", [True, False], ids=["of an old snapshot", "of none"])
def test_pruning_during_an_upload_harms_it_in_no_order_of_their_steps(
    superseded: bool, tmp_path: Path
) -> None:
    """The upload needs a file that is there, and that goes meanwhile."""
    memory = MemoryFileSystem()
    sent_again = taken_back = 0
    steps = STEPS_OF_UPLOAD + STEPS_OF_PRUNING
    for uploads in combinations(range(steps), STEPS_OF_UPLOAD):
        if bursts(uploads) > BURSTS:
            continue
        archive = Archive(memory, f"/{uuid4().hex}")
        first = take_snapshot(archive, checkpoint_of(tmp_path, b"one"), at_version(1), ORIGIN)
        take_snapshot(archive, checkpoint_of(tmp_path, b"two"), at_version(2), ORIGIN)
        if not superseded:
            archive.remove_manifest(first.name)
        checkpoint = checkpoint_of(tmp_path, b"one")
        turns = Turns([step not in uploads for step in range(steps)])
        up = Archive(FaultyFileSystem(turns.step(0), memory), archive.folder)
        down = Archive(FaultyFileSystem(turns.step(1), memory), archive.folder)
        taken, looks = turns.run(
            partial(take_snapshot, up, checkpoint, at_version(3), ORIGIN), partial(clean, down)
        )
        assert broken_files(archive, taken.manifest, set()) == {}, uploads
        assert archive.trash() == {}
        sent_again += bool(taken.sent)
        taken_back += looks.count("cp_file") > 1
        memory.rm(archive.folder, recursive=True)
    assert sent_again > 10
    assert taken_back > 10


def bursts(places: tuple[int, ...]) -> int:
    """How many runs of consecutive numbers these are."""
    return 1 + sum(after > place + 1 for place, after in pairwise(places))


def at_version(version: int) -> StoreState:
    return StoreState(version=version)


def clean(archive: Archive) -> None:
    prune(archive, plan_prune(archive, 1, GRACE, AFTERWARDS, set()))


def checkpoint_of(folder: Path, content: bytes) -> Path:
    (folder / "checkpoint").mkdir(exist_ok=True)
    (folder / "checkpoint" / "000001.sst").write_bytes(content)
    return folder / "checkpoint"


def test_an_unreachable_archive_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("a file where a folder should be")
    archive = Archive.open(str(tmp_path / "archive"), "log/0")
    with pytest.raises(ArchiveUnreachable, match=r"archive/log/0: .*See that it exists"):
        take_snapshot(archive, checkpoint_of(tmp_path, b"one"), StoreState(), ORIGIN)
    with pytest.raises(ArchiveUnreachable, match=r"gcsfs.*pip install 'kae\[gcs\]'"):
        Archive.open("gs://bucket/path", "log/0")
