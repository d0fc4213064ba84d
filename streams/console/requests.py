"""What a request carries: forms and JSON, bounded before they are decoded.

What went wrong, as a status and a sentence; anything else is a defect, and is logged.
"""

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec
from kafka.errors import KafkaError
from starlette.requests import Request

from kae.encoders.selector import SelectorInvalid
from kae.sinks.log.protocol import LogTruncated
from kae.streams.console.guard import AccessRefused, SignInFirst
from kae.streams.errors import (
    KafkaUnreachable,
    LetterUnknown,
    ReplicaRefused,
    ReplicaUnreachable,
    TermRefused,
    TopicDiffers,
    UsersInvalid,
)

FORM_TYPE = "application/x-www-form-urlencoded"
JSON_TYPE = "application/json"
MOST_FIELDS = 200
T = TypeVar("T")


async def read_bounded(request: Request, media_type: str, most_bytes: int) -> bytes:
    """The body, if it is of the type and no longer than that.

    Raises: Refused.
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != media_type:
        raise AccessRefused(415, f"content-type: {given[:80]!r}; send {media_type}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise AccessRefused(413, f"the body is longer than {most_bytes:,} bytes")
    return bytes(body)


def parse_form(body: bytes) -> dict[str, str]:
    """The fields of a form; of a field that is given twice the last counts.

    Raises: Refused.
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError as error:
        raise AccessRefused(400, f"the form cannot be read: {error}") from error
    # A browser ends the lines of a text area as a typewriter does.
    return {name: value.replace("\r\n", "\n") for name, value in pairs}


def parse_json(body: bytes, kind: type[T]) -> T:
    """Raises: Refused, with the place in the body."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise AccessRefused(422, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AccessRefused(400, f"the body is no JSON: {error}") from error


def parse_query(query: Mapping[str, str], kind: type[T]) -> T:
    """Raises: Refused, with the name of the parameter."""
    try:
        return msgspec.convert(dict(query), kind, strict=False)
    except msgspec.ValidationError as error:
        raise AccessRefused(422, str(error)) from error


EXPECTED = (
    KafkaError,
    KafkaUnreachable,
    LetterUnknown,
    LogTruncated,
    AccessRefused,
    SelectorInvalid,
    ReplicaRefused,
    ReplicaUnreachable,
    SignInFirst,
    TermRefused,
    TopicDiffers,
    UsersInvalid,
)


def problem_of(error: Exception) -> tuple[int, str]:
    """The status and the sentence for an error of those expected."""
    match error:
        case AccessRefused():
            return error.status, error.error
        case SignInFirst():
            return 401, "nobody is signed in; sign in first"
        case TermRefused() | SelectorInvalid():
            return 422, str(error)
        case LetterUnknown():
            return 404, str(error)
        case LogTruncated():
            return 410, str(error)
        case ReplicaRefused() if 400 <= error.status < 500:
            return error.status, str(error)
        case ReplicaRefused():
            return 502, str(error)
    return 503, str(error) or type(error).__name__
