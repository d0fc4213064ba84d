"""Reads the values of a feed record as what an item needs: id, text, numbers, fields.

What cannot be read unambiguously raises RecordInvalid with the field and a remedy; nothing is
guessed.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any
from uuid import UUID

FieldValues = dict[str, str | list[str]]
# Beyond this a float does not hold every integer.
_EXACT_FLOATS = 1 << 53
# Nobody could type these to look an item up.
_CONTROLS = "".join(map(chr, [*range(32), *range(127, 160), 0x2028, 0x2029]))


class RecordInvalid(ValueError):
    """A record lacks a value that an item needs, or has one that cannot be read."""

    def __init__(self, field: str, value: object, reason: str, remedy: str) -> None:
        super().__init__(f"{field} is {show_value(value)}: {reason}; {remedy}")
        self.field = field
        self.value = value
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True, slots=True, repr=False)
class UnreadableValue:
    """A value that its format allows and that is no text or number."""

    shown: str
    reason: str
    remedy: str

    def __repr__(self) -> str:
        return self.shown


def show_value(value: object) -> str:
    """Return a value as error messages show it, shortened."""
    spelled = "null" if value is None else repr(value)
    return spelled if len(spelled) <= 60 else spelled[:57] + "..."


def read_id(record: Mapping[str, Any], column: str) -> str:
    """Return the id as text; a whole number has no decimal point, so 1.0 and 1 give "1".

    Line breaks and other control characters around it are none of it.
    Raises: RecordInvalid.
    """
    value = record.get(column)
    if isinstance(value, float | Decimal) and isfinite(value) and value == int(value):
        if isinstance(value, float) and abs(value) > _EXACT_FLOATS:
            raise RecordInvalid(
                column,
                value,
                "a floating-point number this large may stand for several ids",
                "write the id as text or as a whole number",
            )
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, bytes):
        value = _decoded(column, value)
    if isinstance(value, UnreadableValue):
        raise RecordInvalid(column, value, value.reason, value.remedy)
    if isinstance(value, str) and not value.isprintable():
        value = _without_controls(column, value)
    if not isinstance(value, str) or not value.strip():
        raise RecordInvalid(column, value, "an item needs an id", "write text or a whole number")
    return value


def _without_controls(column: str, value: str) -> str:
    line = value.strip(_CONTROLS)
    if any(sign in _CONTROLS and sign != "\t" for sign in line):
        reason = "an id is one line, without control characters"
        raise RecordInvalid(column, value, reason, "take them out")
    return line


def read_text(record: Mapping[str, Any], column: str | None, required: bool = False) -> str:
    """Return a title or a description; several values become one text.

    Raises: RecordInvalid.
    """
    value = record.get(column) if column else None
    parts = [field_text(str(column), part) for part in _parts(value)]
    text = parts[0] if len(parts) == 1 else "\n".join(part for part in parts if part)
    if required and not text.strip():
        raise RecordInvalid(str(column), value, "text is needed", "write text there")
    return text


def read_popularity(record: Mapping[str, Any], column: str | None) -> float:
    """Return the popularity; 0 without one, which empty text also says.

    Raises: RecordInvalid.
    """
    value = record.get(column) if column else None
    if value is None or (isinstance(value, str) and not value.strip()):
        return 0.0
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if number < 0 or not isfinite(number):
        raise RecordInvalid(
            str(column), value, "popularity is a number", "write a number that is not negative"
        )
    return number


def read_revision(record: Mapping[str, Any], column: str | None) -> int | None:
    """Return the revision; None if the feed has no such column.

    Raises: RecordInvalid.
    """
    if column is None:
        return None
    value = record.get(column)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, float | Decimal) and 0 <= value <= _EXACT_FLOATS and value == int(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RecordInvalid(column, value, "a revision is needed", "write a whole number from 0")
    return value


def add_field(fields: FieldValues, name: str, value: object, separator: str | None = None) -> None:
    """Add a column's value, or each entry of a column that maps names to values.

    `separator` splits one text into several values. Null and empty text are skipped.
    Raises: RecordInvalid.
    """
    for inner, entry in _entries(name, value):
        if type(entry) is str and inner not in fields and (not separator or separator not in entry):
            if entry:  # the fast path, for nearly all values
                fields[inner] = entry
            continue
        parts = _parts(entry)
        texts = [text for part in parts for text in _separated(field_text(inner, part), separator)]
        known = fields.get(inner)
        if known is not None:
            texts = ([known] if isinstance(known, str) else known) + texts
        if texts:
            fields[inner] = texts if isinstance(entry, list) or len(texts) > 1 else texts[0]


def keep_allowed(
    record: Mapping[str, Any], columns: Container[str | None], fields: Container[str]
) -> dict[str, Any]:
    """Return only these columns and fields of a record; maps keep their allowed entries."""
    kept: dict[str, Any] = {}
    for column, value in record.items():
        entries = {name: entry for name, entry in _entries(column, value) if name in fields}
        if column in columns or entries == {column: value}:
            kept[column] = value
        elif entries:
            kept[column] = entries
    return kept


def field_text(name: str, value: object) -> str:
    """Return one value as text.

    Raises: RecordInvalid.
    """
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "yes" if value else "no"
        case float():
            return repr(value).removesuffix(".0") if isfinite(value) else ""
        case int() | timedelta() | UUID():
            return str(value)
        case Decimal():
            return f"{value:f}"
        case date() | time():
            return value.isoformat()
        case bytes():
            return _decoded(name, value)
        case UnreadableValue():
            raise RecordInvalid(name, value, value.reason, value.remedy)
        case _:
            raise RecordInvalid(
                name,
                value,
                "a value is text, a number, or a list of these",
                "flatten the column or leave it out",
            )


def _entries(name: str, value: object) -> Iterable[tuple[str, object]]:
    """Split a column that maps names to values; pyarrow gives a map as a list of pairs."""
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, list) and value and all(isinstance(part, tuple) for part in value):
        return value if isinstance(value[0][0], str) else [(str(key), one) for key, one in value]
    return ((name, value),)


def _parts(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _separated(text: str, separator: str | None) -> list[str]:
    parts = text.split(separator) if separator else [text]
    return [part for part in parts if part]


def _decoded(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise RecordInvalid(name, value, "is not UTF-8", "write text, or leave it out") from error
