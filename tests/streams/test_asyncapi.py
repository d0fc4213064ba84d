"""The AsyncAPI document: complete, and of the version that it names."""

import json
from collections.abc import Iterator
from typing import Any

from tests.streams.committed import CONTRACTS, Document, committed

from kae.streams.events.contracts import EVENTS, contract
from kae.streams.kafka.topic_plan import plan_topics
from kae.streams.topology.types import Topology


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for inside in value:
            yield from references(inside)


def resolve(reference: str, document: Document) -> Any:
    file, _, pointer = reference.partition("#")
    found = json.loads((CONTRACTS / file).read_text(encoding="utf-8")) if file else document
    for part in pointer.split("/")[1:]:
        found = found[part]
    return found


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = committed("asyncapi")
    found = set(references(document))
    assert {f"./{type_}.schema.json" for type_ in EVENTS} <= found
    for reference in found:
        assert resolve(reference, document)


# What AsyncAPI 3.0.0 allows where this document uses it: required keys, then the others.
ALLOWED = {
    "": ("asyncapi info", "defaultContentType servers channels operations components"),
    "info": ("title version", "description license"),
    "servers": ("host protocol", ""),
    "channels": ("", "address description messages bindings"),
    "operations": ("action channel", "summary"),
    "messages": ("", "name title summary contentType headers payload bindings examples"),
}


def objects(document: Document) -> Iterator[tuple[str, Document]]:
    yield "", document
    yield "info", document["info"]
    for kind in ("servers", "channels", "operations"):
        yield from ((kind, value) for value in document[kind].values())
    yield from (("messages", value) for value in document["components"]["messages"].values())


def test_the_asyncapi_document_has_the_keys_of_its_version() -> None:
    document = committed("asyncapi")
    assert document["asyncapi"] == "3.0.0"
    for kind, value in objects(document):
        required, others = (set(keys.split()) for keys in ALLOWED[kind])
        keys = {key for key in value if not key.startswith("x-")}
        assert required <= keys <= required | others, kind
    for operation in document["operations"].values():
        assert operation["action"] in ("send", "receive")
        assert operation["channel"]["$ref"].startswith("#/channels/")


def test_every_topic_is_a_channel_and_the_internal_ones_say_so() -> None:
    topology = Topology.load().edited({"topics.prefix": "shop", "shards": 3, "generation": 7})
    channels = contract("asyncapi", topology)["channels"].values()
    assert {c["address"]: c["bindings"]["kafka"]["partitions"] for c in channels} == {
        topic.name: topic.partitions for topic in plan_topics(topology)
    }
    public = {c["address"] for c in channels if "x-internal" not in c}
    assert public == {"shop.items", "shop.terms", "shop.behaviours", "shop.dead-letters"}
    assert all("messages" in c or "Internal" in c["description"] for c in channels)


def test_a_topology_without_behaviours_has_no_channel_of_them() -> None:
    document = contract("asyncapi", Topology.load().edited({"behaviours": None}))
    assert "behaviours" not in document["channels"]
    assert all(
        operation["channel"]["$ref"].removeprefix("#/channels/") in document["channels"]
        for operation in document["operations"].values()
    )
