"""The archive: where the snapshots of one log are kept, in any file system that fsspec knows.

<url>/<log>/manifests/<version>.<digest>.json
<url>/<log>/blobs/<digest>
<url>/<log>/trash/<digest>      on its way out (prune.py)
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

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
    """The place of the snapshots does not answer, or refuses."""


class StoredBlob(NamedTuple):
    """A blob as its file system tells it."""

    bytes: int
    modified_ms: int


class Archive:
    """The files of one log's snapshots. What cannot be reached raises ArchiveUnreachable."""

    def __init__(self, filesystem: Any, folder: str) -> None:
        self._fs = filesystem
        self.folder = folder.rstrip("/")

    @classmethod
    def open(cls, url: str, log: str) -> "Archive":
        """Raises: ArchiveUnreachable when there is no file system of that kind here."""
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
            self._lay_folder(keys.MANIFESTS)
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
        """The size of every blob that is on its way out."""
        return {name: size for name, size in self._files(keys.TRASH) if keys.is_blob(name)}

    def blob_modified_ms(self, digest: str) -> int | None:
        """When a blob was written; None if it is gone."""
        return self._modified_ms(keys.BLOBS, digest)

    def put(self, path: Path, digest: str) -> None:
        with self._reached(FileNotFoundError):
            self._lay_folder(keys.BLOBS)
            self._fs.put_file(str(path), self._path(keys.BLOBS, digest))

    def read(self, file: SnapshotFile, folder: str = keys.BLOBS) -> Iterator[bytes]:
        """The bytes of a file, piece by piece.

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

    def throw_away(self, digest: str) -> None:
        """Take a blob out of the blobs; `take_back` and `remove_trash` say what becomes of it."""
        self._move(digest, keys.BLOBS, keys.TRASH)

    def take_back(self, digest: str) -> None:
        self._move(digest, keys.TRASH, keys.BLOBS)

    def remove_trash(self, digest: str) -> None:
        self._remove(keys.TRASH, digest)

    # The whole.

    def bytes(self) -> int:
        """What everything kept here takes."""
        return int(self._if_there(lambda: self._fs.du(self.folder)) or 0)

    def remove(self) -> None:
        """Remove everything: of a log that is gone, whose snapshots nobody may begin with."""
        self._if_there(lambda: self._fs.rm(self.folder, recursive=True))

    # The file system.

    def _path(self, *parts: str) -> str:
        return "/".join((self.folder, *parts))

    def _lay_folder(self, folder: str) -> None:
        """A bucket has no folders, and would itself be made by this, under a mistyped name too."""
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
            self._lay_folder(target)
        self._if_there(lambda: self._fs.mv(self._path(source, digest), self._path(target, digest)))

    def _remove(self, folder: str, name: str) -> None:
        self._if_there(lambda: self._fs.rm_file(self._path(folder, name)))

    def _if_there(self, call: Callable[[], Any]) -> Any:
        """What a call returns; None when the file is gone, for two may remove the same."""
        try:
            with self._reached():
                return call()
        except FileNotFoundError:
            return None

    @contextmanager
    def _reached(self, also: type[Exception] | tuple[()] = ()) -> Iterator[None]:
        """Who writes has no file that may be missing: then it is the bucket, and tells so."""
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
            f"{self.folder}: {type(error).__name__}: {error}. See that the place is there, "
            "has room, and that this process may read and write it"
        )
