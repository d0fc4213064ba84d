"""The decompressed bytes of a feed file, whose compression its first bytes tell."""

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
_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
COMPRESSED_SUFFIXES = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
# Formats that files sometimes have in spite of their name, with a remedy.
_OTHER_FORMATS = {
    b"PAR1": "is a Parquet file; name it FILE.parquet",
    b"PK\x03\x04": "is a zip archive or a spreadsheet; unpack it, or save it as CSV in UTF-8",
    b"\xff\xfe": "is UTF-16; save it as UTF-8",
    b"\xfe\xff": "is UTF-16; save it as UTF-8",
}


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file of text, perhaps compressed."""

    path: Path
    compression: str | None  # gzip, zstd, or None

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the decompressed bytes, after a byte order mark.

        Raises: CatalogInvalid, also while reading, when compressed data is truncated or damaged.
        """
        with self.path.open("rb") as file:
            if self.compression is None:
                yield _skip_byte_order_mark(file)
                return
            try:
                with _decompressed(file, self.compression, self.path) as decompressed:
                    yield _skip_byte_order_mark(decompressed)
            except OSError as error:
                raise CatalogInvalid(
                    f"{self.path}: its {self.compression} data is truncated or damaged: {error}; "
                    "fetch it again"
                ) from error

    def lines(self) -> int:
        """Count the lines, which end in LF, CRLF or CR; reads the whole file, as `count` does.

        Raises: CatalogInvalid.
        """
        lines, last = 0, b"\n"
        for block in self._blocks():
            lines += block.count(b"\n")
            if b"\r" in block:
                lines += block.count(b"\r") - block.count(b"\r\n")
            lines -= last == b"\r" and block[:1] == b"\n"
            last = block[-1:]
        return lines + (last not in b"\r\n")

    def count(self, sign: bytes) -> int:
        """Count a byte by reading the whole file, which also finds damage.

        Raises: CatalogInvalid.
        """
        return sum(block.count(sign) for block in self._blocks())

    def _blocks(self) -> Iterator[bytes]:
        with self.open() as file:
            while block := file.read(_BLOCK_BYTES):
                yield block


def detect_compression(path: Path) -> TextFile:
    """Detect how a file of text is compressed.

    Raises: CatalogInvalid when it is empty or its content contradicts its name; NotInstalled;
    OSError.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise CatalogInvalid(f"{path}: is empty; fetch it again, or leave it out")
    compression = next(
        (name for magic, name in _COMPRESSIONS.items() if head.startswith(magic)), None
    )
    promised = COMPRESSED_SUFFIXES.get(path.suffix.lower())
    if promised not in (None, compression):
        raise CatalogInvalid(
            f"{path}: holds no {promised} data, it begins with {head!r}; fetch it again, or take "
            f"{path.suffix} off its name"
        )
    text = TextFile(path, compression)
    with text.open() as decompressed:
        head = decompressed.read(_HEAD_BYTES)
    if not head:
        raise CatalogInvalid(f"{path}: is empty once decompressed; fetch it again, or leave it out")
    for magic, remedy in _OTHER_FORMATS.items():
        if head.startswith(magic):
            raise CatalogInvalid(f"{path}: {remedy}")
    return text


def _skip_byte_order_mark(file: IO[bytes]) -> IO[bytes]:
    buffered = file if isinstance(file, io.BufferedReader) else io.BufferedReader(file)  # type: ignore[type-var]
    # peek returns fewer bytes only at the end of the file.
    if buffered.peek(len(_BYTE_ORDER_MARK)).startswith(_BYTE_ORDER_MARK):
        buffered.read(len(_BYTE_ORDER_MARK))
    return cast("IO[bytes]", buffered)


def _decompressed(file: IO[bytes], compression: str, path: Path) -> IO[bytes]:
    try:
        import pyarrow
    except ModuleNotFoundError as error:
        raise NotInstalled(
            f"{path}: {compression} needs pyarrow: pip install 'kae[live]'"
        ) from error
    stream = pyarrow.input_stream(pyarrow.PythonFile(file), compression=compression)
    return cast("IO[bytes]", io.BufferedReader(stream, _BLOCK_BYTES))
