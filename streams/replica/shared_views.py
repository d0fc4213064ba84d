"""Views in a folder of shared memory, for decoders in processes of their own.

    head      two numbers: the newest view, and the time up to which a view is known to be complete
    base-N    a trie; the views after it share it, until the next base
    view-N    what a view has beside its base: what is dead in the base, the overlay, its version

A decoder in the replica's own process sometimes waits for the thread that builds views, since they
share an interpreter; in a process of its own it never does. Files that a decoder has mapped stay
readable after they are removed. `shared_views_writer.py` writes them.
"""

import mmap
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from kae.sinks.trie.array_file import (
    ArrayFileBroken,
    live_trie_from_arrays,
    map_arrays,
    merged_trie_from_arrays,
    trie_from_arrays,
)
from kae.sinks.trie.merged_trie import MergedTrie
from kae.sinks.trie.trie import Trie
from kae.streams.clock import now_ms
from kae.streams.errors import NothingShared
from kae.streams.replica.decode import Constraint
from kae.streams.replica.view import Pinned
from kae.streams.replica_api.answers import Version

HEAD = "head"
_HEAD_BYTES = 16
_FILE = re.compile(r"(?P<kind>base|view)-(?P<number>\d+)")
# The version of the header, and of the arrays and their order.
FORMAT = 3
# How long a decoder uses a mapped view: a decode takes longer, and to map a view costs about as
# much as a mask.
REFRESH_SECONDS = 0.05


class _Format(msgspec.Struct, frozen=True, array_like=True):
    """The first element of a header in every format, older and newer."""

    format: int


class SharedViewHeader(msgspec.Struct, frozen=True, array_like=True):
    """What a view file has beside its arrays."""

    format: int
    base: int
    version: Version
    codebook: str  # its fingerprint
    capacities: tuple[int, ...]
    next_change_ms: int | None  # when time alone changes what is visible
    ends_ms: dict[int, int]  # by binding, of those that end
    pinned: tuple[Pinned, ...]


class SharedViews:
    """The views that a replica on this machine shares; for one thread of a decoder's process."""

    def __init__(self, folder: Path | str, refresh_seconds: float = REFRESH_SECONDS) -> None:
        """A mapped view is used for `refresh_seconds`, even if there is a newer one.

        Raises: NothingShared.
        """
        self._folder = Path(folder)
        self._refresh_seconds = refresh_seconds
        try:
            self._head = map_head(self._folder, mmap.PROT_READ)
        except (OSError, ValueError) as error:
            raise NothingShared(
                f"{self._folder}: no replica shares its views there ({error}); start one with "
                "kae replica run --share and this folder"
            ) from error
        self._number = 0
        self._due_at = 0.0
        self._base: tuple[int, Trie] | None = None
        self._mapped: tuple[SharedViewHeader, MergedTrie]
        self._hidden: tuple[frozenset[int], MergedTrie] | None = None
        self._refresh()

    @classmethod
    def wait(
        cls,
        folder: Path | str,
        within_seconds: float = 30.0,
        refresh_seconds: float = REFRESH_SECONDS,
    ) -> Self:
        """The views of a replica that may still be starting. Raises: NothingShared."""
        deadline = time.monotonic() + within_seconds
        while True:
            try:
                return cls(folder, refresh_seconds)
            except NothingShared:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def decode(self) -> Constraint:
        """What may be decoded in a view that is the newest, or was `refresh_seconds` ago.

        The answer does not change when newer views come.
        """
        if self._head[0] != self._number and time.monotonic() >= self._due_at:
            self._refresh()
        header, merged = self._mapped
        return Constraint(
            header.version, self._visible(header, merged), header.capacities, header.pinned
        )

    @property
    def codebook(self) -> str:
        """The fingerprint of the codebook that the slots belong to."""
        return self._mapped[0].codebook

    @property
    def age_seconds(self) -> float | None:
        """How long ago a view was known to be complete; None if none ever was.

        It grows when the replica is gone. What `decode` returns may be `refresh_seconds` older.
        """
        complete_ms = int(self._head[1])
        return max(0.0, (now_ms() - complete_ms) / 1000) if complete_ms else None

    def _refresh(self) -> None:
        while True:
            number = int(self._head[0])
            if not number:
                raise NothingShared(
                    f"{self._folder}: its replica has not shared a view yet; it does when it has "
                    "read all that the logs held"
                )
            try:
                self._mapped = self._map(number)
            except FileNotFoundError:
                # A replica that runs has removed it; one that is gone leaves its newest.
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

    def _map(self, number: int) -> tuple[SharedViewHeader, MergedTrie]:
        encoded, found = map_arrays(self._folder / f"view-{number}")
        found_format = msgspec.msgpack.decode(encoded, type=_Format).format
        if found_format != FORMAT:
            raise NothingShared(
                f"{self._folder}: views of format {found_format}, this kae reads {FORMAT}; run the "
                "replica and its decoders with one kae"
            )
        header = msgspec.msgpack.decode(encoded, type=SharedViewHeader)
        if self._base is None or self._base[0] != header.base:
            _, of_base = map_arrays(self._folder / f"base-{header.base}")
            self._base = header.base, trie_from_arrays(iter(of_base))
        arrays = iter(found)
        base = live_trie_from_arrays(self._base[1], arrays)
        overlay = live_trie_from_arrays(trie_from_arrays(arrays), arrays)
        return header, merged_trie_from_arrays(base, overlay, arrays)

    def _visible(self, header: SharedViewHeader, merged: MergedTrie) -> MergedTrie:
        """The trie without the terms that have ended since; the next view lacks them too."""
        if header.next_change_ms is None or now_ms() < header.next_change_ms:
            return merged
        now = now_ms()
        ended = frozenset(binding for binding, end_ms in header.ends_ms.items() if end_ms <= now)
        if not ended:
            return merged
        if self._hidden is None or self._hidden[0] != ended:
            self._hidden = ended, merged.without_bindings(ended)
        return self._hidden[1]


def map_head(folder: Path, protection: int) -> NDArray[np.int64]:
    """The two numbers of the head, shared by all processes: each is read and written atomically."""
    path = folder / HEAD
    writes = bool(protection & mmap.PROT_WRITE)
    with path.open("a+b" if writes else "rb") as file:
        if writes:
            file.truncate(_HEAD_BYTES)
        mapped = mmap.mmap(file.fileno(), _HEAD_BYTES, mmap.MAP_SHARED, protection)
    return np.frombuffer(mapped, np.int64)


def view_files(folder: Path) -> Iterator[re.Match[str]]:
    """The names of the files of views and bases, by `kind` and `number`."""
    for path in folder.iterdir():
        match = _FILE.fullmatch(path.name)
        if match:
            yield match
