"""CloudEvents 1.0 over Kafka: an event's context and data, from either content mode.

Structured: the value is the whole event in JSON. Binary: context attributes are `ce_` headers,
`content-type` is `datacontenttype`, and the value is the data itself.
Source: Kafka Protocol Binding for CloudEvents 1.0.2, sections 3 to 3.3.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

STRUCTURED = "application/cloudevents"
STRUCTURED_JSON = "application/cloudevents+json"
PREFIX = "ce_"
CONTENT_TYPE = "content-type"
WHITESPACE = b" \t\r\n"  # of JSON; around the data it is not part of the data
Headers = Sequence[tuple[str, bytes | None]]
Id = Annotated[str, Meta(min_length=1, max_length=256)]
Short = Annotated[str, Meta(max_length=512)]
EventOrigin = Annotated[str, Meta(min_length=1, max_length=2048)]


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The CloudEvents context attributes that kae reads; others are allowed and ignored."""

    specversion: Literal["1.0"]
    type: Short
    source: EventOrigin
    id: Id
    subject: Id
    time: Short | UnsetType = UNSET
    audience: Short | UnsetType = UNSET  # the topic that a signed event is for
    datacontenttype: Annotated[str, Meta(pattern=r"^application/json")] = "application/json"


class Envelope(Context, frozen=True, kw_only=True):
    """An event: its context, and its data as the bytes that were sent."""

    data: msgspec.Raw


_structured = msgspec.json.Decoder(Envelope)


def read_event(value: bytes, headers: Headers) -> Envelope:
    """Read the event of a record; without headers it is structured.

    Raises: msgspec.DecodeError (its subclass ValidationError included), UnicodeDecodeError,
    RecursionError.
    """
    return _from_headers(value, headers) if headers else _structured.decode(value)


def _from_headers(value: bytes, headers: Headers) -> Envelope:
    named = dict(headers)
    content_type = _text(CONTENT_TYPE, named.get(CONTENT_TYPE, b""))
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.startswith(STRUCTURED):
        if media_type != STRUCTURED_JSON:
            raise msgspec.ValidationError(
                f"{CONTENT_TYPE}: {content_type!r} is a format of CloudEvents that kae does not "
                f"read; send {STRUCTURED_JSON}, or binary mode"
            )
        return _structured.decode(value)
    if f"{PREFIX}specversion" not in named:
        return _structured.decode(value)
    return _binary(value, named, content_type)


def _binary(value: bytes, named: dict[str, bytes | None], content_type: str) -> Envelope:
    attributes: dict[str, object] = {
        field: _text(PREFIX + field, named[PREFIX + field])
        for field in Context.__struct_fields__
        if PREFIX + field in named
    }
    attributes.pop("datacontenttype", None)  # in this mode its header is content-type
    if content_type:
        attributes["datacontenttype"] = content_type
    attributes["data"] = msgspec.Raw(value.strip(WHITESPACE))
    try:
        return msgspec.convert(attributes, Envelope)
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(f"{PREFIX} headers: {error}") from error


def _text(name: str, value: bytes | None) -> str:
    try:
        return (value or b"").decode()
    except UnicodeDecodeError as error:
        raise msgspec.ValidationError(f"header {name}: {value!r} is not UTF-8") from error
