"""A replica writes its views to a folder, for decoders in other processes.

`shared_views.py` has the files and reads them. A file is complete before its number is in the head
and never changes after that, so a replica that is killed leaves its last view readable, and the
next replica counts on from it.
"""

import mmap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import msgspec
import structlog

from kae.encoders.codebook.codebook import Codebook
from kae.sinks.trie.array_file import (
    Array,
    changes_to_arrays,
    dead_to_arrays,
    trie_to_arrays,
    write_arrays,
)
from kae.sinks.trie.trie import Trie
from kae.streams.replica.shared_views import FORMAT, SharedViewHeader, map_head, view_files
from kae.streams.replica.view import View
from kae.streams.runtime.folders import hold_folder

log = structlog.get_logger()
# Views that are kept beside the newest: a reader that has just read a number finds its file.
KEPT = 2


class SharedViewsWriter:
    """Writes views; may be used from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._head = map_head(folder, mmap.PROT_READ | mmap.PROT_WRITE)
        self._lock = threading.Lock()
        self._is_behind = False
        self.has_started = False
        self._base: Trie | None = None
        numbers = [int(match["number"]) for match in view_files(folder)]
        self._base_number = self._number = max([int(self._head[0]), *numbers], default=0)

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[Self]:
        """Hold the folder, which is created if it is missing, for one replica.

        Raises: StoreFolderUnusable.
        """
        with hold_folder(folder, "replica", "--share"):
            yield cls(folder)

    def start(self, view: View, codebook: Codebook) -> None:
        """Write the first view, which has all that the logs held.

        Views before it may have less than those of an earlier replica.
        """
        self.has_started = True
        self.write(view, codebook)

    def write(self, view: View, codebook: Codebook) -> None:
        """Write a view that decoders use from now on.

        Where there is no room for it, decoders keep the one that they have, and a warning is
        logged.
        """
        with self._lock:
            try:
                self._write_view(view, codebook)
            except OSError as error:
                if not self._is_behind:
                    log.warning("share_behind", folder=str(self._folder), error=str(error))
                self._is_behind = True
            else:
                self._is_behind = False

    def mark_complete(self, at_ms: int) -> None:
        """The view that was written last had, at this moment, all that the logs held."""
        if not self._is_behind:
            self._head[1] = at_ms

    def _write_view(self, view: View, codebook: Codebook) -> None:
        merged = view.trie.merged
        base, overlay = merged.parts
        self._number += 1
        if base.trie is not self._base:
            self._write_file("base", list(trie_to_arrays(base.trie)))
            self._base, self._base_number = base.trie, self._number
        arrays = [*dead_to_arrays(base), *trie_to_arrays(overlay.trie), *dead_to_arrays(overlay)]
        arrays += changes_to_arrays(merged)
        header = _header(view, codebook, self._base_number)
        self._write_file("view", arrays, msgspec.msgpack.encode(header))
        self._head[0] = self._number
        self._prune()

    def _write_file(self, kind: str, arrays: list[Array], header: bytes = b"") -> None:
        path = self._folder / f"{kind}-{self._number}"
        try:
            write_arrays(path, arrays, header)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _prune(self) -> None:
        for match in view_files(self._folder):
            oldest = self._base_number if match["kind"] == "base" else self._number - KEPT
            if int(match["number"]) < oldest:
                (self._folder / match[0]).unlink()


def _header(view: View, codebook: Codebook, base: int) -> SharedViewHeader:
    return SharedViewHeader(
        FORMAT,
        base,
        view.version,
        codebook.fingerprint,
        tuple(group.capacity for group in codebook.groups),
        view.next_change_ms,
        {binding: bound.until_ms for binding, bound in view.visible.items() if bound.until_ms},
        tuple(view.pinned_items(view.pins)),
    )
