"""Records of Parquet, with values that Python's types cannot hold as text."""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from kae.streams.catalog.records import BATCH_ROWS, FeedRecord
from kae.streams.catalog.values import UnreadableValue
from kae.streams.errors import CatalogInvalid

# What pyarrow raises for a value that has no Python type: nanoseconds, years beyond 1 to 9999,
# unknown time zones, text that is not UTF-8.
_NO_PYTHON_VALUE = (ArithmeticError, LookupError, ValueError, pa.ArrowException)
_NO_FRACTION = re.compile(r"\.0+(?=[+-]|$)")
_OFFSET = re.compile(r"(?<=[+-]\d\d)(?=\d\d$)")


def open_parquet(path: Path) -> parquet.ParquetFile:
    """Open a file; INT96, which is older than Parquet's own timestamps, holds any year."""
    return parquet.ParquetFile(path, coerce_int96_timestamp_unit="us")


def read_groups(path: Path, row_groups: Sequence[int] | None = None) -> Iterator[FeedRecord]:
    """Yield the records of some row groups, or of all.

    Raises: CatalogInvalid if the file is damaged.
    """
    try:
        with open_parquet(path) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS, row_groups=row_groups):
                yield from _records(batch)
    except (pa.ArrowException, OSError) as error:
        raise CatalogInvalid(f"{path}: is damaged: {error}; fetch it again") from error


def _records(batch: pa.RecordBatch) -> list[FeedRecord]:
    try:
        return batch.to_pylist()  # type: ignore[no-any-return]
    except _NO_PYTHON_VALUE:
        # Rare, so only now is each value converted by itself.
        names = batch.schema.names
        columns = [_values(column) for column in batch.columns]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(column: pa.Array) -> list[Any]:
    try:
        return column.to_pylist()  # type: ignore[no-any-return]
    except _NO_PYTHON_VALUE:
        return [_value(scalar) for scalar in column]


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except _NO_PYTHON_VALUE as error:
        kind = scalar.type
        if pa.types.is_struct(kind):
            return {field.name: _value(scalar[at]) for at, field in enumerate(kind)}
        if pa.types.is_map(kind):
            return [(_name(entry[0]), _value(entry[1])) for entry in scalar.values]
        if pa.types.is_nested(kind):
            return [_value(one) for one in scalar.values]
        if pa.types.is_dictionary(kind) or isinstance(scalar, pa.ExtensionScalar):
            return _value(scalar.value)
        if pa.types.is_duration(kind):
            return _duration(scalar)
        if pa.types.is_temporal(kind):
            return _time(scalar)
        return _foreign(scalar, error)


def _name(scalar: pa.Scalar) -> Any:
    key = _value(scalar)
    return key.shown if isinstance(key, UnreadableValue) else key


def _time(scalar: pa.Scalar) -> str | UnreadableValue:
    """Return a date or a time in the form that Python gives to those that it can hold."""
    try:
        text = str(scalar.cast(pa.string()).as_py())
    except pa.ArrowException:
        # The time zone is unknown here.
        utc = pa.scalar(scalar.value, pa.timestamp(scalar.type.unit, "UTC"))
        text = str(utc.cast(pa.string()).as_py())
    if text.startswith("<"):
        return UnreadableValue(
            text.strip("<>"), "is no date of a calendar", "correct it, or leave it out"
        )
    if text.endswith("Z"):
        text = text.removesuffix("Z") + "+00:00"
    return _OFFSET.sub(":", _NO_FRACTION.sub("", text)).replace(" ", "T", 1)


def _duration(scalar: pa.Scalar) -> str | UnreadableValue:
    if scalar.type.unit != "ns":
        return UnreadableValue(str(scalar.value), "is too long", "correct it, or leave it out")
    seconds, nanoseconds = divmod(scalar.value, 1_000_000_000)
    return f"{timedelta(seconds=seconds)}.{nanoseconds:09d}"


def _foreign(scalar: pa.Scalar, error: Exception) -> UnreadableValue:
    if isinstance(error, UnicodeDecodeError):
        shown = repr(scalar.as_buffer().to_pybytes())
        return UnreadableValue(shown, f"is not UTF-8: {error}", "write text as UTF-8")
    return UnreadableValue(str(scalar.type), str(error), "write it as text, or leave it out")
