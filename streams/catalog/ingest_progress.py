"""The progress of an ingest, in a small file: a killed ingest resumes at the saved position.

The position counts a prefix of the feed: every row before it is acknowledged by Kafka or written
down as rejected. Later rows may have been published too; publishing them again changes nothing,
since an ingest keeps its revision.
"""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from kae.streams.catalog.files import FeedFile
from kae.streams.catalog.rows import FeedPosition
from kae.streams.errors import CatalogInvalid, InvalidInput

FOLDER = Path(".kae/ingest")


class ProgressInvalid(InvalidInput):
    """A progress file cannot be read or written."""


class FileIdentity(msgspec.Struct, frozen=True):
    """What identifies a feed file and shows that it changed."""

    path: str
    size_bytes: int
    changed_ns: int


class IngestProgress(msgspec.Struct, kw_only=True):
    """The content of .kae/ingest/<hash>.json."""

    topic: str
    files: tuple[FileIdentity, ...]
    revision: int  # of items without one
    position: tuple[int, int] = (0, 0)  # files read, rows of the next one
    published: int = 0
    rejected: int = 0
    rejected_bytes: int = 0  # length of the file of rejected rows

    @property
    def feed_position(self) -> FeedPosition:
        return FeedPosition(*self.position)


class ProgressFile:
    """The progress of one ingest, identified by its files and its topic."""

    def __init__(self, feeds: Sequence[FeedFile], topic: str) -> None:
        self._topic = topic
        self._files = tuple(_identity(feed.path) for feed in feeds)
        name = "\n".join([topic, *(file.path for file in self._files)])
        self.path = FOLDER / f"{sha256(name.encode()).hexdigest()[:16]}.json"

    def open(self, revision: int, restart: bool) -> IngestProgress:
        """Return the progress of an earlier ingest of these files, or a new one.

        Raises: CatalogInvalid if a file changed in between; ProgressInvalid.
        """
        beginning = IngestProgress(topic=self._topic, files=self._files, revision=revision)
        if restart or not self.path.exists():
            return beginning
        try:
            progress = msgspec.json.decode(self.path.read_bytes(), type=IngestProgress)
        except (msgspec.DecodeError, OSError) as error:
            raise ProgressInvalid(f"{self.path}: {error}; start over with --restart") from error
        for now, then in zip(self._files, progress.files, strict=True):
            if now != then:
                raise CatalogInvalid(
                    f"{now.path}: changed since {progress.published} rows were published; "
                    "start over with --restart"
                )
        return progress

    def save(self, progress: IngestProgress) -> None:
        """Replace the file atomically.

        Raises: ProgressInvalid.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial = self.path.with_suffix(".partial")
            partial.write_bytes(msgspec.json.encode(progress))
            partial.replace(self.path)
        except OSError as error:
            raise ProgressInvalid(
                f"{self.path}: cannot be written: {error.strerror}; run in a writable folder"
            ) from error

    def remove(self) -> None:
        """Remove the file of a complete ingest, so that the next one starts from the beginning."""
        self.path.unlink(missing_ok=True)


def _identity(path: Path) -> FileIdentity:
    stat = path.stat()
    return FileIdentity(str(path.resolve()), stat.st_size, stat.st_mtime_ns)
