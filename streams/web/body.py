"""What a request carries: forms and JSON, bounded before they are decoded."""

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from kae.streams.web.guard import Refused

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
        raise Refused(415, f"content-type: {given[:80]!r}; send {media_type}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise Refused(413, f"the body is longer than {most_bytes:,} bytes")
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
        raise Refused(400, f"the form cannot be read: {error}") from error
    # A browser ends the lines of a text area as a typewriter does.
    return {name: value.replace("\r\n", "\n") for name, value in pairs}


def parse_json(body: bytes, kind: type[T]) -> T:
    """Raises: Refused, with the place in the body."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise Refused(422, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, f"the body is no JSON: {error}") from error


def parse_query(query: Mapping[str, str], kind: type[T]) -> T:
    """Raises: Refused, with the name of the parameter."""
    try:
        return msgspec.convert(dict(query), kind, strict=False)
    except msgspec.ValidationError as error:
        raise Refused(422, str(error)) from error
