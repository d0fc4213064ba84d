"""Views in a folder of shared memory, for decoders that are processes of their own.

    head      two numbers: the newest view, and up to when a view is known to be complete
    base-N    a trie; views stand on it until the next
    view-N    what a view has beside its base: what is dead in it, the overlay, and its version

A decoder in the replica's own process waits, ever so often, for the thread that makes views: they
share an interpreter. Beside it, it waits for nobody. A file is whole before its number stands in
the head and is never changed, so a replica that is killed leaves the last view readable, and the
next one goes on counting. What a decoder has mapped stays readable, though it be removed.
"""

import mmap
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from kae.encoders.codebook.codebook import Codebook
from kae.sinks.trie.arrays import (
    Array,
    ArrayFileBroken,
    arrays_of_changed,
    arrays_of_dead,
    arrays_of_trie,
    layer_of_arrays,
    map_arrays,
    stack_of_arrays,
    trie_of_arrays,
    write_arrays,
)
from kae.sinks.trie.stack import Stack
from kae.sinks.trie.trie import TrieView
from kae.streams.clock import now_ms
from kae.streams.errors import NothingShared
from kae.streams.replica.decode import Constraint
from kae.streams.replica.pins import Pinned, pinned_items
from kae.streams.replica.search import version_of
from kae.streams.replica.view import View
from kae.streams.replica_api.answers import Version
from kae.streams.runtime.folders import hold_folder

log = structlog.get_logger()
HEAD = "head"
_HEAD_BYTES = 16
_FILE = re.compile(r"(?P<kind>base|view)-(?P<number>\d+)")
# Of a note, and of which arrays stand in which order.
FORMAT = 3
# Views that stand beside the newest: who has just read a number finds its file.
KEPT = 2
# A view that a decoder has mapped is good for so long: a decode takes longer, and mapping one costs
# about as much as a mask.
REFRESH_SECONDS = 0.05


class _Format(msgspec.Struct, frozen=True, array_like=True):
    """The first element of a note in every format, older and newer."""

    format: int


class SharedNote(msgspec.Struct, frozen=True, array_like=True):
    """What a view file says beside its arrays."""

    format: int
    base: int
    version: Version
    codebook: str  # its fingerprint
    capacities: tuple[int, ...]
    turns_ms: int | None  # when a term begins or ends by time alone
    ends_ms: dict[int, int]  # by binding, of those that end
    pinned: tuple[Pinned, ...]


class SharedFolder:
    """Where a replica lays its views; any thread may."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._head = _map_head(folder, mmap.PROT_READ | mmap.PROT_WRITE)
        self._lock = threading.Lock()
        self._is_behind = False
        self.has_begun = False
        self._base: TrieView | None = None
        left = [int(match["number"]) for match in _files(folder)]
        self._base_number = self._number = max([int(self._head[0]), *left], default=0)

    @classmethod
    @contextmanager
    def held(cls, folder: Path) -> Iterator[Self]:
        """Created if it is missing; one replica's for as long as it runs.

        Raises: StoreFolderUnusable.
        """
        with hold_folder(folder, "replica", "--share"):
            yield cls(folder)

    def begin(self, view: View, codebook: Codebook) -> None:
        """Lay the first view that has all that the logs held.

        The ones before it have less than the replica before this one may have laid.
        """
        self.has_begun = True
        self.lay(view, codebook)

    def lay(self, view: View, codebook: Codebook) -> None:
        """Have decoders begin with this view from now on.

        Where there is no room for it they keep the one that they have, which gets older, and the
        log tells it.
        """
        with self._lock:
            try:
                self._lay(view, codebook)
            except OSError as error:
                if not self._is_behind:
                    log.warning("share_behind", folder=str(self._folder), error=str(error))
                self._is_behind = True
            else:
                self._is_behind = False

    def note_complete(self, at_ms: int) -> None:
        """The view that was laid last had, at this moment, all that the logs held."""
        if not self._is_behind:
            self._head[1] = at_ms

    def _lay(self, view: View, codebook: Codebook) -> None:
        stack = view.trie.stack
        base, overlay = stack.layers
        self._number += 1
        if base.trie is not self._base:
            self._write("base", list(arrays_of_trie(base.trie)))
            self._base, self._base_number = base.trie, self._number
        arrays = [*arrays_of_dead(base), *arrays_of_trie(overlay.trie), *arrays_of_dead(overlay)]
        arrays += arrays_of_changed(stack)
        note = _note(view, codebook, self._base_number)
        self._write("view", arrays, msgspec.msgpack.encode(note))
        self._head[0] = self._number
        self._prune()

    def _write(self, kind: str, arrays: list[Array], note: bytes = b"") -> None:
        path = self._folder / f"{kind}-{self._number}"
        try:
            write_arrays(path, arrays, note)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _prune(self) -> None:
        for match in _files(self._folder):
            oldest = self._base_number if match["kind"] == "base" else self._number - KEPT
            if int(match["number"]) < oldest:
                (self._folder / match[0]).unlink()


class SharedViews:
    """The views that a replica on this machine lays; for one thread of a decoder's process."""

    def __init__(self, folder: Path | str, refresh_seconds: float = REFRESH_SECONDS) -> None:
        """A view that is mapped is kept for `refresh_seconds`, though newer ones be laid.

        Raises: NothingShared.
        """
        self._folder = Path(folder)
        self._refresh_seconds = refresh_seconds
        try:
            self._head = _map_head(self._folder, mmap.PROT_READ)
        except (OSError, ValueError) as error:
            raise NothingShared(
                f"{self._folder}: no replica shares its views there ({error}); start one with "
                "kae replica run --share and this folder"
            ) from error
        self._number = 0
        self._due_at = 0.0
        self._base: tuple[int, TrieView] | None = None
        self._mapped: tuple[SharedNote, Stack]
        self._hidden: tuple[frozenset[int], Stack] | None = None
        self._refresh()

    @classmethod
    def wait(
        cls,
        folder: Path | str,
        within_seconds: float = 30.0,
        refresh_seconds: float = REFRESH_SECONDS,
    ) -> Self:
        """The views of a replica that may be beginning yet. Raises: NothingShared."""
        deadline = time.monotonic() + within_seconds
        while True:
            try:
                return cls(folder, refresh_seconds)
            except NothingShared:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def decode(self) -> Constraint:
        """What may be decoded in a view that was the newest `refresh_seconds` ago, or is it now.

        It stays what it is.
        """
        if self._head[0] != self._number and time.monotonic() >= self._due_at:
            self._refresh()
        note, stack = self._mapped
        return Constraint(note.version, self._visible(note, stack), note.capacities, note.pinned)

    @property
    def codebook(self) -> str:
        """The fingerprint of the codebook whose slots these are."""
        return self._mapped[0].codebook

    @property
    def age_seconds(self) -> float | None:
        """How long ago a view was known to be complete; None if none ever was.

        Also when the replica is gone: then it grows. What `decode` gives may be older by
        `refresh_seconds`.
        """
        complete_ms = int(self._head[1])
        return max(0.0, (now_ms() - complete_ms) / 1000) if complete_ms else None

    def _refresh(self) -> None:
        while True:
            number = int(self._head[0])
            if not number:
                raise NothingShared(
                    f"{self._folder}: its replica has not laid a view yet; it does once it has "
                    "read all that the logs held"
                )
            try:
                self._mapped = self._map(number)
            except FileNotFoundError:
                # A replica that went on removed it; one that is gone left its last.
                if int(self._head[0]) != number:
                    continue
                raise NothingShared(
                    f"{self._folder}: view-{number} is missing, and it is the newest; start the "
                    "replica that shares it again"
                ) from None
            except ArrayFileBroken as error:
                remedy = "remove the folder and start its replica again"
                raise NothingShared(f"{error}; {remedy}") from error
            self._number, self._hidden = number, None
            self._due_at = time.monotonic() + self._refresh_seconds
            return

    def _map(self, number: int) -> tuple[SharedNote, Stack]:
        noted, found = map_arrays(self._folder / f"view-{number}")
        found_format = msgspec.msgpack.decode(noted, type=_Format).format
        if found_format != FORMAT:
            raise NothingShared(
                f"{self._folder}: views of format {found_format}, this kae reads {FORMAT}; run the "
                "replica and its decoders with one kae"
            )
        note = msgspec.msgpack.decode(noted, type=SharedNote)
        if self._base is None or self._base[0] != note.base:
            _, of_base = map_arrays(self._folder / f"base-{note.base}")
            self._base = note.base, trie_of_arrays(iter(of_base))
        arrays = iter(found)
        base = layer_of_arrays(self._base[1], arrays)
        overlay = layer_of_arrays(trie_of_arrays(arrays), arrays)
        return note, stack_of_arrays(base, overlay, arrays)

    def _visible(self, note: SharedNote, stack: Stack) -> Stack:
        """Without the terms that have ended since; the next view lacks them too."""
        if note.turns_ms is None or now_ms() < note.turns_ms:
            return stack
        now = now_ms()
        over = frozenset(binding for binding, end_ms in note.ends_ms.items() if end_ms <= now)
        if not over:
            return stack
        if self._hidden is None or self._hidden[0] != over:
            self._hidden = over, stack.hiding(over)
        return self._hidden[1]


def _note(view: View, codebook: Codebook, base: int) -> SharedNote:
    return SharedNote(
        FORMAT,
        base,
        version_of(view),
        codebook.fingerprint,
        tuple(group.capacity for group in codebook.groups),
        view.turns_ms,
        {binding: bound.until_ms for binding, bound in view.visible.items() if bound.until_ms},
        tuple(pinned_items(view, view.pins)),
    )


def _map_head(folder: Path, protection: int) -> NDArray[np.int64]:
    """Two numbers that every process sees as they are: each is written and read as one word."""
    path = folder / HEAD
    writes = bool(protection & mmap.PROT_WRITE)
    with path.open("a+b" if writes else "rb") as file:
        if writes:
            file.truncate(_HEAD_BYTES)
        mapped = mmap.mmap(file.fileno(), _HEAD_BYTES, mmap.MAP_SHARED, protection)
    return np.frombuffer(mapped, np.int64)


def _files(folder: Path) -> Iterator[re.Match[str]]:
    for path in folder.iterdir():
        match = _FILE.fullmatch(path.name)
        if match:
            yield match
