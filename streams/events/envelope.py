"""The envelope of item and term events, and the error of an event that does not decode."""

from collections.abc import Callable
from hashlib import blake2b
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from kae.streams.events import causes
from kae.streams.events.cloudevents import Envelope, Headers, read_event

MAX_REVISION = (1 << 63) - 1
_ID_CHARACTERS = 256  # of cloudevents.Id
T = TypeVar("T")
Revision = Annotated[
    int,
    Meta(ge=0, le=MAX_REVISION, description="Orders the events of one subject; the highest holds."),
]
_encode = msgspec.json.Encoder().encode


class Undecodable(ValueError):
    """An event that becomes a dead letter; the message is the cause, `kind` its stable code."""

    def __init__(self, cause: str, kind: str) -> None:
        super().__init__(cause)
        self.kind = kind


def open_event(
    key: bytes | None,
    value: bytes | None,
    max_bytes: int,
    headers: Headers,
    keyed: tuple[str, ...] = (),
) -> Envelope:
    """The envelope of a record; events of the types in `keyed` must have a key.

    Raises: Undecodable.
    """
    if value is None:
        raise Undecodable(
            "value: a Kafka tombstone carries no revision; send kae.item.delete.v1",
            "value.missing",
        )
    if len(value) > max_bytes:
        raise Undecodable(
            f"value: {len(value)} bytes, limits.event_bytes allows {max_bytes}", "value.size"
        )
    try:
        event = read_event(value, headers)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"event: {error}", causes.of_malformed(error, "event")) from error
    if key is not None and key != event.subject.encode():
        raise Undecodable(f"key: {key!r} differs from the subject {event.subject!r}", "key.differs")
    if key is None and event.type in keyed:
        raise Undecodable(
            "key: missing; an item event's key is its subject, the item id", "key.missing"
        )
    return event


def event_id(subject: str, revision: int) -> str:
    """The id of an event that kae makes: the same for the same change."""
    readable = f"{subject}:{revision}"
    if len(readable) <= _ID_CHARACTERS:
        return readable
    # A subject may fill the bound alone.
    digest = blake2b(subject.encode(errors="surrogatepass"), digest_size=16).hexdigest()
    return f"{digest}:{revision}"


def unknown_type(type_: str, noun: str, known: tuple[str, ...]) -> Undecodable:
    """The error of an unknown type: another major version of a known one, or no known event."""
    name, _, major = type_.rpartition(".v")
    for one in known:
        if major.isdecimal() and name == one.rpartition(".v")[0]:
            return Undecodable(
                f"type: {type_!r} has major version {major}, this kae knows {one}; "
                "send that, or run workers that know the newer one",
                causes.TYPE_VERSION,
            )
    return Undecodable(
        f"type: {type_!r} is no {noun} event; known are {' and '.join(known)}", causes.TYPE_UNKNOWN
    )


def decode_data(decode: Callable[[msgspec.Raw], T], event: Envelope) -> T:
    """Raises: Undecodable."""
    try:
        return decode(event.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"data: {error}", causes.of_malformed(error, "data")) from error


def encode_event(
    type_: str,
    subject: str,
    data: msgspec.Struct,
    source: str,
    id_: str,
    time: str,
    audience: str = "",
) -> bytes:
    """A structured event; an empty `time` or `audience` is left out."""
    envelope = Envelope(
        specversion="1.0",
        type=type_,
        source=source,
        id=id_,
        subject=subject,
        data=msgspec.Raw(_encode(data)),
        time=time or msgspec.UNSET,
        audience=audience or msgspec.UNSET,
    )
    return _encode(envelope)
