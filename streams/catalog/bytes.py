"""The bytes of a feed file, unpacked: what a file is, is told by its first bytes and its name."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from kae.streams.errors import CatalogInvalid, NotInstalled

_BLOCK_BYTES = 1 << 20
_HEAD_BYTES = 4
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PACKINGS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
PACKED_SUFFIXES = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
# What is sometimes given another format's name, and what helps.
_OTHER_FORMATS = {
    b"PAR1": "is a Parquet file; name it FILE.parquet",
    b"PK\x03\x04": "is a zip archive or a spreadsheet; unpack it, or save it as CSV in UTF-8",
    b"\xff\xfe": "is UTF-16; save it as UTF-8",
    b"\xfe\xff": "is UTF-16; save it as UTF-8",
}


@dataclass(frozen=True, slots=True)
class TextBytes:
    """A file of text, perhaps packed by gzip or zstd."""

    path: Path
    packing: str | None  # gzip, zstd, or None

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Yield the unpacked bytes behind a byte order mark.

        Raises: CatalogInvalid, from any reading inside too, when packed bytes are cut or damaged.
        """
        with self.path.open("rb") as file:
            if self.packing is None:
                yield _behind_mark(file)
                return
            try:
                with _unpacked(file, self.packing, self.path) as unpacked:
                    yield _behind_mark(unpacked)
            except OSError as error:
                raise CatalogInvalid(
                    f"{self.path}: its {self.packing} data is cut or damaged: {error}; "
                    "fetch it again"
                ) from error

    def lines(self) -> int:
        """Read to the end and return how many lines there are: a damaged file is found here.

        Raises: CatalogInvalid.
        """
        lines, last = 0, b"\n"
        with self.open() as file:
            while block := file.read(_BLOCK_BYTES):
                lines += block.count(b"\n")
                last = block[-1:]
        return lines + (last != b"\n")


def look_at(path: Path) -> TextBytes:
    """Tell how a file of text is packed.

    Raises: CatalogInvalid when it is empty or of another kind than its name says; NotInstalled;
    OSError.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise CatalogInvalid(f"{path}: is empty; fetch it again, or leave it out")
    packing = next((name for magic, name in _PACKINGS.items() if head.startswith(magic)), None)
    promised = PACKED_SUFFIXES.get(path.suffix.lower())
    if promised not in (None, packing):
        raise CatalogInvalid(
            f"{path}: holds no {promised} data, it begins with {head!r}; fetch it again, or take "
            f"{path.suffix} off its name"
        )
    text = TextBytes(path, packing)
    with text.open() as unpacked:
        head = unpacked.read(_HEAD_BYTES)
    if not head:
        raise CatalogInvalid(f"{path}: is empty once unpacked; fetch it again, or leave it out")
    for magic, remedy in _OTHER_FORMATS.items():
        if head.startswith(magic):
            raise CatalogInvalid(f"{path}: {remedy}")
    return text


def _behind_mark(file: IO[bytes]) -> IO[bytes]:
    buffered = file if isinstance(file, io.BufferedReader) else io.BufferedReader(file)  # type: ignore[type-var]
    # A peek may be shorter than asked for only at the end of the file.
    if buffered.peek(len(_BYTE_ORDER_MARK)).startswith(_BYTE_ORDER_MARK):
        buffered.read(len(_BYTE_ORDER_MARK))
    return cast("IO[bytes]", buffered)


def _unpacked(file: IO[bytes], packing: str, path: Path) -> IO[bytes]:
    try:
        import pyarrow
    except ModuleNotFoundError as error:
        raise NotInstalled(f"{path}: {packing} needs pyarrow: pip install 'kae[live]'") from error
    stream = pyarrow.input_stream(pyarrow.PythonFile(file), compression=packing)
    return cast("IO[bytes]", io.BufferedReader(stream, _BLOCK_BYTES))
