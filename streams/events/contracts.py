"""Contracts: JSON Schemas (2020-12) of the events and topology.yaml, and an AsyncAPI document.

The schemas are generated from the types that decode the events, so both always agree. The AsyncAPI
document assigns them to the topics of a topology.
"""

import json
from typing import Any

import msgspec
import yaml

from kae.streams.events.asyncapi import describe_topics
from kae.streams.events.behaviours import BEHAVIOUR, BehaviourData
from kae.streams.events.cloudevents import CONTENT_TYPE, PREFIX, Context
from kae.streams.events.items import ITEM_DELETE, ITEM_UPSERT, DeleteData, ItemData
from kae.streams.events.term_data import DATA
from kae.streams.topology.schema import topology_schema
from kae.streams.topology.types import Topology

DIALECT = "https://json-schema.org/draft/2020-12/schema"
EVENTS: dict[str, type[msgspec.Struct]] = {
    ITEM_UPSERT: ItemData,
    ITEM_DELETE: DeleteData,
    **DATA,
    BEHAVIOUR: BehaviourData,
}
TOPOLOGY = "topology"
ASYNCAPI = "asyncapi"
NAMES = (*EVENTS, TOPOLOGY, ASYNCAPI)
JsonSchema = dict[str, Any]


def contract(name: str, topology: Topology) -> JsonSchema:
    """One of NAMES as a document; the topology names the topics of the AsyncAPI document."""
    if name == ASYNCAPI:
        return describe_topics(topology, EVENTS)
    if name == TOPOLOGY:
        return {"$schema": DIALECT, **topology_schema()}
    return event_schema(name, EVENTS[name])


def file_name(name: str) -> str:
    """The file of a contract in a folder of contracts."""
    return "asyncapi.yaml" if name == ASYNCAPI else f"{name}.schema.json"


def file_text(name: str, topology: Topology) -> str:
    """The text of the file, always the same for a topology, so files can be compared."""
    document = contract(name, topology)
    if name == ASYNCAPI:
        return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def event_schema(type_: str, data: type[msgspec.Struct]) -> JsonSchema:
    """The schema of a structured event; those of its data and of binary headers are in $defs."""
    _, definitions = msgspec.json.schema_components([Context, data], ref_template="#/$defs/{name}")
    context = definitions.pop(Context.__name__)
    attributes = {**context["properties"], "type": {"const": type_}}
    definitions["headers"] = {
        "description": "The Kafka headers in binary mode; the value is the data itself.",
        "type": "object",
        "properties": {_header(name): schema for name, schema in attributes.items()},
        "required": [_header(name) for name in context["required"]],
    }
    return {
        "$schema": DIALECT,
        "title": type_,
        "description": "A CloudEvent in structured mode. Other attributes and fields are ignored.",
        "type": "object",
        "properties": {**attributes, "data": {"$ref": f"#/$defs/{data.__name__}"}},
        "required": [*context["required"], "data"],
        "$defs": definitions,
    }


def _header(attribute: str) -> str:
    return CONTENT_TYPE if attribute == "datacontenttype" else PREFIX + attribute
