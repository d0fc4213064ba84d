"""The delimiter of a file, found by its first lines."""

import csv
import io
import re
from collections.abc import Sequence
from typing import IO

DELIMITERS = ",;\t|"
LINE_END = "\r\n"
# Excel's first line, which names the delimiter.
SEPARATOR_LINE = re.compile(r'\ufeff?"?sep=([^\w"\r\n])"?[,;\t|]*', re.IGNORECASE)
_SAMPLED_BYTES = 1 << 16
_SAMPLED_ROWS = 20
_CONSISTENT = 0.5


def find_delimiter(head: str, prefer_tab: bool) -> str:
    """Return the delimiter: most rows have as many cells as the header; the most cells win."""
    lines = list(io.StringIO(head, newline=""))
    named = SEPARATOR_LINE.fullmatch(lines[0].strip(LINE_END)) if lines else None
    if named is not None:
        return named[1]
    # The last line of the sample may be cut.
    if len(lines) > 1 and len(head) >= _SAMPLED_BYTES:
        del lines[-1]
    fits = {one: _fit(lines, one) for one in DELIMITERS}
    if prefer_tab and fits["\t"][1] > 1:
        return "\t"
    return max(DELIMITERS, key=lambda one: fits[one])


def _fit(lines: Sequence[str], delimiter: str) -> tuple[bool, int]:
    try:
        rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    except csv.Error:
        rows = list(csv.reader(lines[:1], delimiter=delimiter))
    if not rows or len(rows[0]) == 1:
        return False, 1
    header, *others = rows[: _SAMPLED_ROWS + 1]
    alike = sum(len(row) == len(header) for row in others)
    return alike >= _CONSISTENT * len(others), len(header)


def read_head(file: IO[bytes]) -> str:
    """Return the sample of a file from which its delimiter is found."""
    return file.read(_SAMPLED_BYTES).decode(errors="surrogateescape")
