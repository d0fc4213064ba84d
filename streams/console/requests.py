"""Reading requests (size-limited forms, JSON, queries) and mapping errors to HTTP statuses."""

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec
from kafka.errors import KafkaError
from starlette.requests import Request

from kae.encoders.selector import SelectorInvalid
from kae.sinks.log.protocol import LogTruncated
from kae.streams.console.guard import ConsoleRefused, SignInRequired
from kae.streams.errors import (
    DeadLetterUnknown,
    KafkaUnreachable,
    ReplicaRefused,
    ReplicaUnreachable,
    TermRefused,
    TopicDiffers,
    UsersInvalid,
)

FORM_TYPE = "application/x-www-form-urlencoded"
JSON_TYPE = "application/json"
MAX_FIELDS = 200
T = TypeVar("T")


async def read_bounded(request: Request, media_type: str, max_bytes: int) -> bytes:
    """Read the body of a request; refuse another media type or a longer body.

    Raises: ConsoleRefused.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != media_type:
        raise ConsoleRefused(415, f"content-type: {content_type[:80]!r}; send {media_type}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise ConsoleRefused(413, f"the body is longer than {max_bytes:,} bytes")
    return bytes(body)


def parse_form(body: bytes) -> dict[str, str]:
    """The fields of a form; of a repeated field, the last value.

    Raises: ConsoleRefused.
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:
        raise ConsoleRefused(400, f"the form cannot be read: {error}") from error
    # Browsers send the lines of a text area with CRLF.
    return {name: value.replace("\r\n", "\n") for name, value in pairs}


def parse_json(body: bytes, kind: type[T]) -> T:
    """Raises: ConsoleRefused, with the JSON path of the error."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise ConsoleRefused(422, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConsoleRefused(400, f"the body is not JSON: {error}") from error


def parse_query(query: Mapping[str, str], kind: type[T]) -> T:
    """Raises: ConsoleRefused, with the name of the parameter."""
    try:
        return msgspec.convert(dict(query), kind, strict=False)
    except msgspec.ValidationError as error:
        raise ConsoleRefused(422, str(error)) from error


EXPECTED_ERRORS = (
    KafkaError,
    KafkaUnreachable,
    DeadLetterUnknown,
    LogTruncated,
    ConsoleRefused,
    SelectorInvalid,
    ReplicaRefused,
    ReplicaUnreachable,
    SignInRequired,
    TermRefused,
    TopicDiffers,
    UsersInvalid,
)


def problem_of(error: Exception) -> tuple[int, str]:
    """The HTTP status and the message for one of EXPECTED_ERRORS."""
    match error:
        case ConsoleRefused():
            return error.status, error.error
        case SignInRequired():
            return 401, "not signed in; sign in first"
        case TermRefused() | SelectorInvalid():
            return 422, str(error)
        case DeadLetterUnknown():
            return 404, str(error)
        case LogTruncated():
            return 410, str(error)
        case ReplicaRefused() if 400 <= error.status < 500:
            return error.status, str(error)
        case ReplicaRefused():
            return 502, str(error)
    return 503, str(error) or type(error).__name__
