"""Thirty ways in which an item event goes wrong, each with the kind of its dead letter."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tests.live.ledger import Event

from kae.streams.kafka.partitioner import partition_of_key
from kae.streams.topology.types import Topology

Breaks = Callable[[Event], Event]


def malformed(events: Sequence[Event], topology: Topology) -> list[tuple[str, Event]]:
    """One event of each kind made of the first of `events`, which lie where those would."""
    ways = _ways(topology)
    broken = [(kind, way(event)) for (kind, way), event in zip(ways, events, strict=False)]
    assert len(broken) == len(ways)
    return [
        (kind, event if event.partition is not None else _at_home(event, good, topology))
        for (kind, event), good in zip(broken, events, strict=False)
    ]


def _ways(topology: Topology) -> list[tuple[str, Breaks]]:
    shards, limit = topology.shards, topology.limits.event_bytes
    deep = b"[" * 50_000 + b"]" * 50_000
    return [
        ("event.malformed", lambda e: replace(e, value=b"hello")),
        ("event.malformed", _bytes(b'"revision":1', b'"revision":1,"popularity":NaN')),
        ("event.truncated", lambda e: replace(e, value=(e.value or b"")[:-9])),
        ("event.truncated", lambda e: replace(e, value=b"")),
        ("event.type", lambda e: replace(e, value=b"[1, 2]")),
        ("event.utf8", _bytes(b'"title":"', b'"title":"\xff\xfe')),
        ("event.nesting", _bytes(b'"revision":1', b'"revision":1,"x":' + deep)),
        ("specversion.invalid", _envelope(specversion="0.3")),
        ("subject.missing", _envelope(subject=None)),
        ("id.length", _envelope(id="")),
        ("datacontenttype.pattern", _envelope(datacontenttype="text/plain")),
        ("type.unknown", _envelope(type="org.example.moved")),
        ("type.version", _envelope(type="kae.item.upsert.v2")),
        ("data.type", _envelope(data=["a"])),
        ("data.revision.missing", _data(revision=None)),
        ("data.revision.range", _data(revision=-1)),
        ("data.revision.range", _data(revision=1 << 63)),
        ("data.revision.range", _data(revision=1 << 200)),
        ("data.revision.type", _data(revision="1")),
        ("data.title.type", _data(title=42)),
        ("data.title.length", _data(title="x" * 100_001)),
        ("data.fields.length", _data(fields={str(n): "v" for n in range(513)})),
        ("data.fields.length", _data(fields={"note": "v" * 20_001})),
        ("data.fields.type", _data(fields={"brand": {"name": "HP"}})),
        ("data.popularity.range", _data(popularity=-1)),
        ("value.missing", lambda e: replace(e, value=None)),
        ("value.size", lambda e: replace(e, value=(e.value or b"") + b" " * limit)),
        ("value.size", lambda e: replace(e, value=(e.value or b"") + b" " * 900_000)),
        ("key.missing", lambda e: replace(e, key=None)),
        ("key.differs", lambda e: replace(e, key=b"other")),
        ("partition.wrong", lambda e: replace(e, partition=(_home(e, shards) + 1) % shards)),
    ]


def _at_home(event: Event, good: Event, topology: Topology) -> Event:
    """A producer that loses the key still knows the partition; another key has its own."""
    if event.key is not None:
        return event
    return replace(event, partition=_home(good, topology.shards))


def _home(event: Event, shards: int) -> int:
    return partition_of_key(event.key or b"", shards)


def _bytes(old: bytes, new: bytes) -> Breaks:
    def change(event: Event) -> Event:
        assert old in (event.value or b"")
        return replace(event, value=(event.value or b"").replace(old, new, 1))

    return change


def _envelope(**changes: Any) -> Breaks:
    """Other context attributes; None takes one away."""

    def change(event: Event) -> Event:
        return replace(event, value=_changed(json.loads(event.value or b""), changes))

    return change


def _data(**changes: Any) -> Breaks:
    def change(event: Event) -> Event:
        envelope = json.loads(event.value or b"")
        envelope["data"] = json.loads(_changed(envelope["data"], changes))
        return replace(event, value=json.dumps(envelope).encode())

    return change


def _changed(record: dict[str, Any], changes: dict[str, Any]) -> bytes:
    kept = {**record, **changes}
    return json.dumps({name: value for name, value in kept.items() if value is not None}).encode()
