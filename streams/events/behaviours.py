"""Behaviour events: what was asked for, shown and chosen; `kae.behaviour.v1`.

The subject, which is also the record's key, is the request: of several events of a request the
last one counts, and a tombstone erases them. Of persons an event has a session and, if the topology
allows it, the pseudonym of a user. Unknown fields are ignored: nothing else of a person is read.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from kae.encoders.retriever.samples import Behaviour
from kae.streams.events.cloudevents import Headers, Id
from kae.streams.events.envelope import (
    Undecodable,
    decode_data,
    encode_event,
    open_event,
    unknown_type,
)
from kae.streams.events.term_data import Timestamp

BEHAVIOUR = "kae.behaviour.v1"
HISTORY_ITEMS = 100
QueryText = Annotated[str, Meta(max_length=1024)]
UserPseudonym = Annotated[str, Meta(max_length=256)]
ChosenItems = Annotated[list[Id], Meta(max_length=1000)]
HistoryItems = Annotated[list[Id], Meta(max_length=HISTORY_ITEMS)]


class BehaviourData(msgspec.Struct, frozen=True, omit_defaults=True):
    """`data` of kae.behaviour.v1: one request, by item ids.

    Without `time`, it happened when the broker took the event. `history` is what the same person
    chose before, the latest first; without it, what the session chose in earlier requests.
    """

    query: QueryText
    session: Id
    user: UserPseudonym = ""
    time: Timestamp | None = None
    shown: ChosenItems = []
    clicked: ChosenItems = []
    ordered: ChosenItems = []
    history: HistoryItems = []


class BehaviourEvent(msgspec.Struct, frozen=True, array_like=True):
    """A behaviour event that was read: whose it is, when, and what."""

    request: str
    session: str
    user: str  # empty: none, or not allowed
    at_ms: int
    behaviour: Behaviour


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_data = msgspec.json.Decoder(BehaviourData)


def decode_behaviour(
    key: bytes | None,
    value: bytes | None,
    max_bytes: int,
    accepted_ms: int,
    *,
    users: bool,
    headers: Headers = (),
) -> BehaviourEvent:
    """Decode one record of the behaviours topic; without `users`, the user is left out.

    Raises: Undecodable, whose message tells nothing of a person.
    """
    if value is None:
        raise Undecodable("value: a tombstone erases events, and is none itself", "value.missing")
    event = open_event(None, value, max_bytes, headers)
    if key is None or key != event.subject.encode():
        # A producer may have taken the session for the key.
        kind = "key.missing" if key is None else "key.differs"
        raise Undecodable("key: is not the subject, which is the request's id", kind)
    if event.type != BEHAVIOUR:
        raise unknown_type(event.type, "behaviour", (BEHAVIOUR,))
    data = decode_data(_data.decode, event)
    return BehaviourEvent(
        request=event.subject,
        session=data.session,
        user=data.user if users else "",
        at_ms=_ms(data.time) if data.time else accepted_ms,
        behaviour=Behaviour(
            data.query,
            shown=tuple(data.shown),
            clicked=tuple(data.clicked),
            ordered=tuple(data.ordered),
            history=tuple(data.history),
        ),
    )


def encode_behaviour(request: str, data: BehaviourData, source: str) -> bytes:
    """A structured event of a request."""
    return encode_event(BEHAVIOUR, request, data, source, request, "")


def _ms(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(milliseconds=1)
