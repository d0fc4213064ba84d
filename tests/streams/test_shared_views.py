"""Views in a folder that others map: what they say, and what is left when a replica is killed."""

import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.streams.followed import Followed

from kae.encoders.categories import CATEGORY_INDEX, POSITIONS, Slot
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.encoders.selector import Selector
from kae.sinks.log.term_changes import Bind
from kae.sinks.trie.array_file import ArrayFileBroken, map_arrays, write_arrays
from kae.streams.clock import now_ms
from kae.streams.errors import NothingShared
from kae.streams.replica.decode import Constraint, Decode
from kae.streams.replica.shared_views import FORMAT, SharedViews
from kae.streams.replica.shared_views_writer import SharedViewsWriter

ROOT = np.zeros((1, 0), np.uint16)


@pytest.fixture
def share(tmp_path: Path) -> Iterator[SharedViewsWriter]:
    with SharedViewsWriter.open(tmp_path / "share") as folder:
        yield folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "share"


def say_the_same(mapped: Constraint, own: Decode, paths: Sequence[tuple[int, ...]]) -> None:
    """Of prefixes of every length, some of which are of no item."""
    assert (mapped.version, mapped.capacities) == (own.version, own.capacities)
    for depth in range(POSITIONS):
        prefixes = np.array([path[:depth] for path in paths], np.uint16).reshape(len(paths), depth)
        np.testing.assert_array_equal(mapped.mask(prefixes), own.mask(prefixes))
        np.testing.assert_array_equal(mapped.count(prefixes), own.count(prefixes))
        for theirs, ours in zip(mapped.children(prefixes), own.children(prefixes), strict=True):
            np.testing.assert_array_equal(theirs, ours)
    for position, index in enumerate(paths[0]):
        slot = Slot(position, index)
        np.testing.assert_array_equal(mapped.paths_through(slot), own.paths_through(slot))
    whole = np.array(paths, np.uint16)
    theirs, ours = mapped.behind(whole, 5), own.behind(whole, 5)
    for column in ("first", "shards", "ordinals", "bindings", "popularity"):
        np.testing.assert_array_equal(getattr(theirs, column), getattr(ours, column))


def test_what_is_mapped_says_what_the_replica_says_after_any_edits(
    line: Followed, catalog: list[Item], codebook: Codebook, share: SharedViewsWriter, folder: Path
) -> None:
    chance = random.Random(7)
    share.write(line.index.view, codebook)
    views = SharedViews(folder, refresh_seconds=0)
    paths = [line.encoder.encode(item).identifier for item in catalog[:400]]
    line.put(catalog[:300])
    pins = (catalog[3].id, catalog[1].id)
    everything = Selector(match="", where='brand = "hp"', items=pins, pins=pins)
    for turn in range(12):
        if turn == 4:
            accepted = line.tick()
            number = CATEGORY_INDEX["entity"]
            line.register(
                Bind(
                    term="quietcore", revision=10_000, aliases=(), category=number,
                    position=codebook.position_of(number), selector=everything, owner="",
                    reason="", accepted_ms=accepted,
                )
            )  # fmt: skip
            line.spread_all()
        line.put(chance.sample(catalog[:400], 20))
        line.drop([item.id for item in chance.sample(catalog[4:400], 20)])
        line.follow()
        held = views.decode()
        share.write(line.index.view, codebook)
        own = Decode(line.index.view, codebook)
        bound = [
            (*path[: slot.position], slot.index, *path[slot.position + 1 :])
            for slot in line.index.view.visible.values()
            for path in paths
        ]
        say_the_same(views.decode(), own, [*paths, *bound])
        assert held.version.view < own.version.view
    assert own.count(ROOT)[0] > 100
    assert views.codebook == codebook.fingerprint


def test_a_term_that_ends_is_gone_though_no_view_comes(
    line: Followed, catalog: list[Item], codebook: Codebook, share: SharedViewsWriter, folder: Path
) -> None:
    line.now = now_ms()
    number = CATEGORY_INDEX["entity"]
    line.put(catalog[:50])
    line.register(
        Bind(
            term="quietcore", revision=10_000, aliases=(), category=number,
            position=codebook.position_of(number), selector=Selector(items=(catalog[0].id,)),
            owner="", reason="", accepted_ms=line.tick(), until_ms=line.now + 3_000,
        )
    )  # fmt: skip
    line.spread_all()
    line.follow()
    share.write(line.index.view, codebook)
    (bound,) = line.index.view.visible.values()
    path = list(line.encoder.encode(catalog[0]).identifier)
    path[bound.position] = bound.index
    views = SharedViews(folder)
    held, whole = views.decode(), np.array([path], np.uint16)
    assert held.count(whole).tolist() == [1]
    while now_ms() < bound.until_ms:
        pass
    assert views.decode().count(whole).tolist() == [0]
    assert views.decode().count(ROOT).tolist() == [50]
    assert held.count(whole).tolist() == [1]


def test_a_view_that_was_not_finished_is_never_mapped_and_its_number_not_given_again(
    line: Followed, catalog: list[Item], codebook: Codebook, share: SharedViewsWriter, folder: Path
) -> None:
    line.put(catalog[:50])
    line.follow()
    share.write(line.index.view, codebook)
    (folder / "base-2").write_bytes(b"begun, and then")
    (folder / "view-2").write_bytes(b"killed")
    views = SharedViews(folder, refresh_seconds=0)
    assert views.decode().count(ROOT).tolist() == [50]
    line.drop([catalog[0].id])
    line.follow()
    SharedViewsWriter(folder).write(line.index.view, codebook)
    assert views.decode().count(ROOT).tolist() == [49]
    assert {path.name for path in folder.iterdir()} == {
        "replica.lock", "head", "base-3", "view-1", "view-2", "view-3",
    }  # fmt: skip


def test_without_room_decoders_keep_what_they_have_and_its_age_says_so(
    line: Followed, catalog: list[Item], codebook: Codebook, share: SharedViewsWriter, folder: Path
) -> None:
    share.write(line.index.view, codebook)
    views = SharedViews(folder, refresh_seconds=0)
    assert views.age_seconds is None
    share.mark_complete(now_ms() - 5_000)
    line.put(catalog[:50])
    line.follow()
    (folder / "view-2").mkdir()
    share.write(line.index.view, codebook)
    share.mark_complete(now_ms())
    assert views.decode().count(ROOT).tolist() == [0]
    assert views.age_seconds == pytest.approx(5, abs=1)
    (folder / "view-2").rmdir()
    share.write(line.index.view, codebook)
    share.mark_complete(now_ms())
    assert views.decode().count(ROOT).tolist() == [50]
    assert views.age_seconds == pytest.approx(0, abs=1)


def test_a_view_is_taken_up_when_the_one_before_has_had_its_time(
    line: Followed, catalog: list[Item], codebook: Codebook, share: SharedViewsWriter, folder: Path
) -> None:
    share.write(line.index.view, codebook)
    patient, quick = (SharedViews(folder, refresh_seconds=seconds) for seconds in (3600, 0.01))
    line.put(catalog[:50])
    line.follow()
    share.write(line.index.view, codebook)
    time.sleep(0.01)
    assert patient.decode().count(ROOT).tolist() == [0]
    assert quick.decode().count(ROOT).tolist() == [50]


def test_a_folder_without_a_view_is_told_with_its_remedy(folder: Path) -> None:
    with pytest.raises(NothingShared, match="kae replica run --share"):
        SharedViews(folder)
    with (
        SharedViewsWriter.open(folder),
        pytest.raises(NothingShared, match="not shared a view yet"),
    ):
        SharedViews(folder)


def test_views_of_another_format_are_refused(
    line: Followed, codebook: Codebook, share: SharedViewsWriter, folder: Path
) -> None:
    share.write(line.index.view, codebook)
    note, arrays = map_arrays(folder / "view-1")
    (folder / "view-1").unlink()
    newer = msgspec.msgpack.encode([FORMAT + 1, *msgspec.msgpack.decode(note)[1:], "more"])
    write_arrays(folder / "view-1", arrays, newer)
    with pytest.raises(
        NothingShared, match=f"views of format {FORMAT + 1}, this kae reads {FORMAT}"
    ):
        SharedViews(folder)


def test_a_damaged_file_is_named(
    line: Followed, codebook: Codebook, share: SharedViewsWriter, folder: Path
) -> None:
    share.write(line.index.view, codebook)
    path = folder / "view-1"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(NothingShared, match=r"view-1: .*; remove the folder"):
        SharedViews(folder)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 0), np.uint16),
        np.arange(6, dtype=np.uint16).reshape(2, 3)[:, 1:],
        np.array([True, False]),
        np.array(7, np.int64),
    ],
)
def test_an_array_comes_back_as_it_was(tmp_path: Path, array: np.ndarray) -> None:
    before, after = np.arange(5), np.arange(4.0)
    write_arrays(tmp_path / "file", [before, array, after], b"note")
    note, (first, found, last) = map_arrays(tmp_path / "file")
    assert (note, found.dtype, found.shape) == (b"note", array.dtype, array.shape)
    np.testing.assert_array_equal(found, array)
    np.testing.assert_array_equal(first, before)
    np.testing.assert_array_equal(last, after)
    assert not found.flags.writeable
    with pytest.raises(FileExistsError):
        write_arrays(tmp_path / "file", [])


@pytest.mark.parametrize("size", [0, 7, 40])
def test_a_file_that_was_cut_off_is_no_array(tmp_path: Path, size: int) -> None:
    write_arrays(tmp_path / "whole", [np.arange(100)])
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes()[:size])
    with pytest.raises(ArrayFileBroken):
        map_arrays(tmp_path / "cut")
