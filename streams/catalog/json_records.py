"""Records of JSON: an object a line, objects over several lines, or arrays of objects."""

import json
import re
from collections.abc import Iterator
from functools import partial
from typing import IO, Any

import msgspec

from kae.streams.catalog.bytes import TextFile
from kae.streams.catalog.records import RECORD_BYTES, FeedRecord, UnreadableRecord
from kae.streams.catalog.values import UnreadableValue

_BLOCK_BYTES = 1 << 18
_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_STRINGS = re.compile(_STRING, re.DOTALL)
# A lone quote opens a string that the next block ends.
_TOKENS = re.compile(_STRING + rb'|[\[\]{},"]', re.DOTALL)
_NEW_RECORD = re.compile(rb'\{\s*"')
_SURROGATE = re.compile("[\ud800-\udfff]")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
ONE_OBJECT = "write one JSON object a line"
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_ERRORS = (msgspec.DecodeError, ValueError, RecursionError)


def starts_array(text: TextFile) -> bool:
    """Whether the file is an array, or several of them."""
    with text.open() as file:
        return file.read(_BLOCK_BYTES).lstrip().startswith(b"[")


def read_objects(text: TextFile) -> Iterator[FeedRecord]:
    """Yield the objects of a file that does not start with an array."""
    with text.open() as file:
        head = file.read(_BLOCK_BYTES)
    with text.open() as file:
        ended_by_cr = b"\r" in head and b"\n" not in head
        yield from _objects(_cr_lines(file) if ended_by_cr else iter(file))


def read_arrays(text: TextFile) -> Iterator[FeedRecord]:
    """Yield the elements of arrays, in bounded memory."""
    held, arrays = b"", 0
    with text.open() as file:
        while len(held) <= RECORD_BYTES and (block := file.read(_BLOCK_BYTES)):
            held += block
            start = depth = 0
            for token in _TOKENS.finditer(held):
                kind = token[0]
                if kind == b'"':
                    break
                if depth == 0 and kind in (b"[", b"]", b",", b"}"):
                    yield from _element(held[start : token.start()])
                    start = token.end()
                    arrays += (kind == b"[") - (kind == b"]")
                else:
                    depth += (kind in b"[{") - (kind in b"]}")
            held = held[start:]
    if len(held) > RECORD_BYTES:
        reason = f"has no end within {RECORD_BYTES:,} bytes; what follows it is not read"
        yield UnreadableRecord(_shown(held), reason, "close its strings, brackets and braces")
        return
    yield from _element(held)
    if arrays > 0:
        yield UnreadableRecord("", "the file ends inside its array", "fetch the file again")


def _element(text: bytes) -> Iterator[FeedRecord]:
    if text.strip():
        yield read_object(text, "write an array of objects, or one JSON object a line")


def _objects(lines: Iterator[bytes]) -> Iterator[FeedRecord]:
    block: list[bytes] = []
    depth = size = 0
    for line in lines:
        if block and _begins_record(line, block):
            yield read_object(b"".join(block), "close its strings, brackets and braces")
            block = []
        if not block:
            if not line.strip():
                continue
            try:
                yield _decode(line)
                continue
            except _ERRORS:
                depth = size = 0
        block.append(line)
        size += len(line)
        change = _depth_change(line)
        depth += change or 0
        if change is not None and depth > 0 and size <= RECORD_BYTES:
            continue
        yield from _records(b"".join(block))
        block = []
    if block:
        yield read_object(b"".join(block), ONE_OBJECT)


def _records(text: bytes) -> Iterator[FeedRecord]:
    """Read a whole object, or each line of text whose lines end in CR."""
    # JSON escapes a CR inside a string.
    parts = text.strip().split(b"\r") if b"\n" not in text.strip() else [text]
    for part in parts:
        if part.strip():
            yield read_object(part, ONE_OBJECT)


def _begins_record(line: bytes, block: list[bytes]) -> bool:
    """Whether a line begins the next record, since the one before it was never closed."""
    if _NEW_RECORD.match(line):
        return True
    indented = len(block) > 1 and block[1][:1].isspace()
    return indented and block[0][:1] == b"{" and line[:1] == b"{"


def _depth_change(line: bytes) -> int | None:
    """Return how many more braces and brackets a line opens; None if a string is not closed."""
    bare = _STRINGS.sub(b"", line)
    if b'"' in bare:
        return None
    opened = bare.count(b"{") + bare.count(b"[")
    return opened - bare.count(b"}") - bare.count(b"]")


def read_object(text: bytes, remedy: str = ONE_OBJECT) -> FeedRecord:
    """Read one object, whatever the line breaks in it."""
    text = text.removeprefix(_BYTE_ORDER_MARK)
    try:
        return _decode(text)
    except _ERRORS as error:
        return _with_surrogates(text) or UnreadableRecord(_shown(text), str(error), remedy)


def _with_surrogates(text: bytes) -> dict[str, Any] | None:
    """Read an object with lone surrogates, which have no UTF-8; None if it is not one."""
    if b"\\ud" not in text.lower():
        return None
    try:
        record = json.loads(text.decode())
    except (ValueError, RecursionError):
        return None
    return _marked(record) if isinstance(record, dict) else None


def _marked(value: Any) -> Any:
    match value:
        case str():
            lone = _SURROGATE.search(value)
            if lone is None:
                return value
            half = rf"\u{ord(lone[0]):04x}"
            reason = f"{half} is half of a character, without its other half (a lone surrogate)"
            return UnreadableValue(repr(value), reason, "write both halves, or leave it out")
        case list():
            return [_marked(one) for one in value]
        case dict():
            return {
                name.encode(errors="backslashreplace").decode(): _marked(one)
                for name, one in value.items()
            }
        case _:
            return value


def _shown(text: bytes) -> str:
    return text.decode(errors="backslashreplace").strip()


def _cr_lines(file: IO[bytes]) -> Iterator[bytes]:
    held = b""
    for block in iter(partial(file.read, _BLOCK_BYTES), b""):
        *lines, held = (held + block).split(b"\r")
        yield from lines
    yield held
