"""The archive of one log's snapshots, in any file system that fsspec supports.

<url>/<log>/manifests/<version>.<digest>.json
<url>/<log>/blobs/<digest>
<url>/<log>/trash/<digest>      about to be removed (prune.py)
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs

from kae.sinks.snapshots.manifest import (
    CHUNK_BYTES,
    Manifest,
    SnapshotBroken,
    SnapshotFile,
    decode_manifest,
)
from kae.sinks.store import keys

_NEEDS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}


class ArchiveUnreachable(Exception):
    """The archive's file system does not answer, or refuses."""


class Archive:
    """The files of one log's snapshots; every method raises ArchiveUnreachable."""

    def __init__(self, filesystem: Any, folder: str) -> None:
        self._fs = filesystem
        self.folder = folder.rstrip("/")

    @classmethod
    def open(cls, url: str, log: str) -> "Archive":
        """Raises: ArchiveUnreachable when the kind of file system is not installed."""
        try:
            filesystem, folder = url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            extra = _NEEDS.get(url.partition("://")[0])
            remedy = f"pip install 'kae[{extra}]'" if extra else "Give a folder, s3:// or gs://"
            raise ArchiveUnreachable(f"{url}: {error}. {remedy}") from error
        return cls(filesystem, f"{folder.rstrip('/')}/{log}")

    # Manifests.

    def manifests(self) -> list[str]:
        """The names of all manifests, the newest version first."""
        names = (name for name, _ in self._files(keys.MANIFESTS))
        return sorted((name for name in names if keys.parse_manifest_file(name)), reverse=True)

    def manifest(self, name: str) -> Manifest:
        """Raises: SnapshotBroken."""
        try:
            with self._reached():
                payload = self._fs.cat_file(self._path(keys.MANIFESTS, name))
        except FileNotFoundError as error:
            raise SnapshotBroken(f"manifest {name} is gone: it was pruned") from error
        return decode_manifest(name, payload)

    def put_manifest(self, name: str, payload: bytes) -> None:
        with self._reached(FileNotFoundError):
            self._make_folder(keys.MANIFESTS)
            self._fs.pipe_file(self._path(keys.MANIFESTS, name), payload)

    def remove_manifest(self, name: str) -> None:
        self._remove(keys.MANIFESTS, name)

    def manifest_modified_ms(self, name: str) -> int | None:
        """When a manifest was written; None if it is gone."""
        return self._modified_ms(keys.MANIFESTS, name)

    # Blobs.

    def blobs(self) -> dict[str, int]:
        """The size of every blob, by its digest."""
        return {name: size for name, size in self._files(keys.BLOBS) if keys.is_blob(name)}

    def trash(self) -> dict[str, int]:
        """The size of every blob in the trash."""
        return {name: size for name, size in self._files(keys.TRASH) if keys.is_blob(name)}

    def blob_modified_ms(self, digest: str) -> int | None:
        """When a blob was written; None if it is gone."""
        return self._modified_ms(keys.BLOBS, digest)

    def put(self, path: Path, digest: str) -> None:
        with self._reached(FileNotFoundError):
            self._make_folder(keys.BLOBS)
            self._fs.put_file(str(path), self._path(keys.BLOBS, digest))

    def read(self, file: SnapshotFile, folder: str = keys.BLOBS) -> Iterator[bytes]:
        """The bytes of a file, in chunks.

        Raises: SnapshotBroken when there is no such blob.
        """
        try:
            with self._reached(), self._fs.open(self._path(folder, file.blake2b), "rb") as blob:
                while chunk := blob.read(CHUNK_BYTES):
                    yield chunk
        except FileNotFoundError as error:
            raise SnapshotBroken(
                f"file {file.name}: blob {file.blake2b} is missing in {self.folder}"
            ) from error

    def move_to_trash(self, digest: str) -> None:
        """Move a blob to the trash; `restore` or `remove_trash` follows."""
        self._move(digest, keys.BLOBS, keys.TRASH)

    def restore(self, digest: str) -> None:
        self._move(digest, keys.TRASH, keys.BLOBS)

    def remove_trash(self, digest: str) -> None:
        self._remove(keys.TRASH, digest)

    # The archive as a whole.

    def bytes(self) -> int:
        """The size of all files."""
        return int(self._if_there(lambda: self._fs.du(self.folder)) or 0)

    def remove(self) -> None:
        """Remove all files, once the log is dropped: its snapshots cannot be used any more."""
        self._if_there(lambda: self._fs.rm(self.folder, recursive=True))

    # The file system.

    def _path(self, *parts: str) -> str:
        return "/".join((self.folder, *parts))

    def _make_folder(self, folder: str) -> None:
        """Not in a bucket: it has no folders, and makedirs would create a mistyped bucket."""
        kinds = self._fs.protocol
        if _NEEDS.keys().isdisjoint([kinds] if isinstance(kinds, str) else kinds):
            self._fs.makedirs(self._path(folder), exist_ok=True)

    def _files(self, folder: str) -> list[tuple[str, int]]:
        def listed() -> list[Any]:
            self._fs.invalidate_cache()
            found: list[Any] = self._fs.ls(self._path(folder), detail=True)
            return found

        entries = self._if_there(listed) or []
        return [
            (entry["name"].rpartition("/")[2], int(entry["size"]))
            for entry in entries
            if entry["type"] == "file"
        ]

    def _modified_ms(self, folder: str, name: str) -> int | None:
        at = self._if_there(lambda: self._fs.modified(self._path(folder, name)))
        return None if at is None else int(at.timestamp() * 1000)

    def _move(self, digest: str, source: str, target: str) -> None:
        with self._reached():
            self._make_folder(target)
        self._if_there(lambda: self._fs.mv(self._path(source, digest), self._path(target, digest)))

    def _remove(self, folder: str, name: str) -> None:
        self._if_there(lambda: self._fs.rm_file(self._path(folder, name)))

    def _if_there(self, call: Callable[[], Any]) -> Any:
        """What a call returns; None when the file is gone: another process may have removed it."""
        try:
            with self._reached():
                return call()
        except FileNotFoundError:
            return None

    @contextmanager
    def _reached(self, also: type[Exception] | tuple[()] = ()) -> Iterator[None]:
        """`also` counts as unreachable too: for a write, a missing file is a missing bucket."""
        try:
            yield
        except (FileNotFoundError, GeneratorExit, SnapshotBroken) as error:
            if not isinstance(error, also):
                raise
            raise self._unreachable(error) from error
        except Exception as error:  # each file system raises its own kinds
            raise self._unreachable(error) from error

    def _unreachable(self, error: BaseException) -> ArchiveUnreachable:
        return ArchiveUnreachable(
            f"{self.folder}: {type(error).__name__}: {error}. See that it exists, has "
            "space, and that this process may read and write it"
        )
