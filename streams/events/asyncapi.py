"""The topics of a topology as an AsyncAPI 3.0 document; payloads refer to the JSON Schemas."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from kae.encoders.items import Item
from kae.streams.events.behaviours import BEHAVIOUR, BehaviourData, encode_behaviour
from kae.streams.events.cloudevents import CONTENT_TYPE, PREFIX, STRUCTURED_JSON
from kae.streams.events.items import (
    ITEM_DELETE,
    ITEM_UPSERT,
    encode_item_delete,
    encode_item_upsert,
)
from kae.streams.events.term_data import (
    DATA,
    TYPES,
    AdjustData,
    AliasData,
    ApproveData,
    BindData,
    CampaignData,
    CampaignReleaseData,
    CampaignTerm,
    ExtendData,
    PlanData,
    RejectData,
    ReleaseData,
    RetargetData,
    SelectorData,
    TermData,
)
from kae.streams.events.terms import encode_term
from kae.streams.kafka.topic_plan import TopicPlan, plan_topics
from kae.streams.topology.types import Topology

# Of the contract: a minor version adds fields that older readers ignore, a major one new types.
VERSION = "1.0.0"
KAFKA_BINDING = "0.5.0"
INTERNAL = (
    "Internal: written and read by kae alone, as docs/formats.md says, and may change with any "
    "release. "
)
Document = dict[str, Any]
_ITEM = Item(
    "104803",
    "HP 650 G1 notebook",
    "Black, 15.6 inch",
    {"brand": "HP", "product_colour": ["black"]},
    12.0,
)
_HP = SelectorData(where='brand = "hp"')
_JULY = datetime(2026, 7, 1, tzinfo=UTC)
_PLAN = PlanData("b6ba35f1", 812)
_TERMS: tuple[tuple[str, TermData], ...] = (
    ("quietcore", BindData(2, _HP, owner="search", reason="campaign", by="ann", plan=_PLAN)),
    ("quietcore", AliasData(3, ["quiet core"], by="ann")),
    ("quietcore", RetargetData(4, SelectorData("quiet"), by="ann")),
    ("quietcore", AdjustData(4, ["104803"], ["7"], ["104803"], by="ann")),
    ("quietcore", ExtendData(5, _JULY, by="ann")),
    ("quietcore", ReleaseData(6, by="ann")),
    ("quietcore", ApproveData(7, 2, "ben", _PLAN)),
    ("quietcore", RejectData(8, 2, "ben", "too wide")),
    ("spring", CampaignData(2, [CampaignTerm("springcore", _HP)], from_=_JULY, by="ann")),
    ("spring", CampaignReleaseData(3, by="ann")),
)
_ASKED = BehaviourData(
    "black notebook",
    session="7c1e",
    time=_JULY,
    shown=["104803", "7"],
    clicked=["104803"],
    ordered=["104803"],
)
_TIME = "2026-01-01T00:00:00Z"
EXAMPLES = {
    ITEM_UPSERT: encode_item_upsert(_ITEM, 7, "/shop/catalog", _TIME),
    ITEM_DELETE: encode_item_delete("104803", 8, "/shop/catalog", _TIME),
    **{
        TYPES[type(data)]: encode_term(subject, data, "/shop/search", _TIME)
        for subject, data in _TERMS
    },
    BEHAVIOUR: encode_behaviour("7c1e-1", _ASKED, "/shop/search"),
}


def describe_topics(topology: Topology, events: Mapping[str, type[msgspec.Struct]]) -> Document:
    """Describe the events of producers, the dead letters, and the internal topics."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "kae",
            "version": VERSION,
            "description": "Events that kae indexes. CloudEvents 1.0, structured or binary.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": STRUCTURED_JSON,
        "servers": {"kafka": {"host": topology.kafka.bootstrap, "protocol": "kafka"}},
        "channels": _channels(topology),
        "operations": {
            "indexItems": _operation("receive", "items", "Workers index items."),
            "registerTerms": _operation("receive", "terms", "The registrar binds and releases."),
            **_behaviours_operation(topology),
            "refuseEvents": _operation(
                "send", "deadLetters", "Workers write refused events as dead letters."
            ),
        },
        "components": {
            "messages": {
                **{
                    _id(type_, binary): _binary(type_, data) if binary else _structured(type_)
                    for type_, data in events.items()
                    for binary in (False, True)
                },
                "deadLetter": _dead_letter(),
            }
        },
    }


def _behaviours_operation(topology: Topology) -> dict[str, Document]:
    if topology.behaviours is None:
        return {}
    summary = "`kae samples build` makes samples of them, for models."
    return {"learnBehaviours": _operation("receive", "behaviours", summary)}


def _channels(topology: Topology) -> dict[str, Document]:
    plans = {plan.name: plan for plan in plan_topics(topology)}
    bound = f"A value has at most {topology.limits.event_bytes} bytes."

    def channel(topic: str, description: str, *messages: str) -> Document:
        return _channel(plans[topic], description, messages)

    behaviours = {}
    if topology.behaviours is not None:
        behaviours["behaviours"] = channel(
            topology.behaviours_topic,
            "Behaviour events. The key is the request; of several events of a request the last one "
            f"counts, and a tombstone erases them. {bound}",
            *_both_modes(BEHAVIOUR),
        )
    return {
        "items": channel(
            topology.items_topic,
            "Item events. The key is the item's id; partition = murmur2(key) & 0x7fffffff mod "
            f"partitions, as Kafka's default partitioner has it. {bound}",
            *_both_modes(ITEM_UPSERT, ITEM_DELETE),
        ),
        "terms": channel(
            topology.terms_topic,
            f"Term events, in one order: the audit log of operations. {bound}",
            *_both_modes(*DATA),
        ),
        **behaviours,
        "deadLetters": channel(
            topology.dead_letters_topic,
            "Events that could not be indexed, each with its cause.",
            "deadLetter",
        ),
        "bindings": channel(topology.bindings_topic, INTERNAL + "The log of bindings."),
        "deltas": channel(topology.deltas_topic, INTERNAL + "The log of each shard."),
        "control": channel(
            topology.control_topic,
            INTERNAL + "The progress of each shard, requests to it, and the answers.",
        ),
        "replicas": channel(topology.replicas_topic, INTERNAL + "The leases of replicas."),
    }


def _channel(plan: TopicPlan, description: str, messages: tuple[str, ...]) -> Document:
    settings: Document = {
        name: int(value) for name, value in plan.settings.items() if name != "cleanup.policy"
    }
    settings["cleanup.policy"] = plan.settings["cleanup.policy"].split(",")
    kafka = {
        "partitions": plan.partitions,
        "replicas": plan.replication,
        "topicConfiguration": dict(sorted(settings.items())),
        "bindingVersion": KAFKA_BINDING,
    }
    described: Document = {"address": plan.name, "description": description}
    if messages:
        described["messages"] = {
            name: {"$ref": f"#/components/messages/{name}"} for name in messages
        }
    else:
        described["x-internal"] = True
    return {**described, "bindings": {"kafka": kafka}}


def _operation(action: str, channel: str, summary: str) -> Document:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}


def _structured(type_: str) -> Document:
    return {
        "name": type_,
        "title": f"{type_}, structured",
        "summary": "The value is the whole event. Headers may be left out.",
        "contentType": STRUCTURED_JSON,
        "payload": {"$ref": f"./{type_}.schema.json"},
        "bindings": _key(type_),
        "examples": [{"payload": msgspec.json.decode(EXAMPLES[type_])}],
    }


def _binary(type_: str, data: type[msgspec.Struct]) -> Document:
    event = msgspec.json.decode(EXAMPLES[type_])
    payload = event.pop("data")
    content_type = event.pop("datacontenttype")
    headers = {PREFIX + name: value for name, value in event.items()}
    return {
        "name": type_,
        "title": f"{type_}, binary",
        "summary": "Context attributes are ce_ headers, the value is the data.",
        "contentType": "application/json",
        "headers": {"$ref": f"./{type_}.schema.json#/$defs/headers"},
        "payload": {"$ref": f"./{type_}.schema.json#/$defs/{data.__name__}"},
        "bindings": _key(type_),
        "examples": [{"headers": {**headers, CONTENT_TYPE: content_type}, "payload": payload}],
    }


def _key(type_: str) -> Document:
    described = {
        ITEM_UPSERT: "The item's id, equal to subject.",
        ITEM_DELETE: "The item's id, equal to subject.",
        BEHAVIOUR: "The id of the request, equal to subject.",
    }
    description = described.get(type_, "The term, equal to subject, or none.")
    key = {"type": "string", "minLength": 1, "maxLength": 256, "description": description}
    return {"kafka": {"key": key, "bindingVersion": KAFKA_BINDING}}


def _dead_letter() -> Document:
    headers = {
        "kae-cause": "Why it could not be indexed.",
        "kae-source": "topic/partition/offset of the refused record.",
        "kae-timestamp-ms": "When the broker took the refused record.",
        "kae-key": "Its key, if it had one.",
        "kae-tombstone": "Present if it had no value.",
    }
    key = {"type": "string", "description": headers["kae-source"]}
    return {
        "name": "kae.dead-letter",
        "title": "A refused record",
        "summary": "The value is the refused record's, unchanged; its own headers follow kae's.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "properties": {
                name: {"type": "string", "description": text} for name, text in headers.items()
            },
            "required": ["kae-cause", "kae-source", "kae-timestamp-ms"],
        },
        "bindings": {"kafka": {"key": key, "bindingVersion": KAFKA_BINDING}},
    }


def _both_modes(*types: str) -> tuple[str, ...]:
    return tuple(_id(type_, binary) for type_ in types for binary in (False, True))


def _id(type_: str, binary: bool = False) -> str:
    """kae.item.upsert.v1 -> itemUpsert, itemUpsertBinary; kae.behaviour.v1 -> behaviour."""
    _, noun, *verbs, _ = type_.split(".")
    return "".join([noun, *map(str.capitalize, verbs), "Binary" if binary else ""])
