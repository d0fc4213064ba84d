"""The page of events: the data of each type, with an example."""

import inspect
import json
import re

import msgspec
from docs.generate.markdown import MADE, Schema, fields_table

from kae.streams.events.asyncapi import EXAMPLES
from kae.streams.events.contracts import EVENTS, event_schema

HEAD = f"""# Events

{MADE}
CloudEvents 1.0 on `kae.items`, keyed by the item's id, on `kae.terms`, and on `kae.behaviours`,
keyed by the request. `docs/formats.md` specifies both content modes and what is refused;
`docs/contracts` has the JSON Schemas. Unknown attributes and fields are ignored.

## The context of every event

"""


def events_page() -> str:
    """The content of the page."""
    any_event = event_schema(*next(iter(EVENTS.items())))
    context = {name: each for name, each in any_event["properties"].items() if name != "data"}
    context["type"] = {"type": "string", "description": "One of those below."}
    sections = [HEAD + fields_table({**any_event, "properties": context})]
    shown: set[str] = set()
    for type_, data in EVENTS.items():
        sections.append(f"## {type_}\n")
        parts: dict[str, Schema] = event_schema(type_, data)["$defs"]
        own = data.__name__
        for name in [own, *sorted(parts.keys() - shown - {own, "headers"})]:
            if name != own:
                sections.append(f"`{name}`:\n")
            sections.append(_part(parts[name]))
            shown.add(name)
        event = msgspec.json.decode(EXAMPLES[type_])
        example = json.dumps(event, indent=2, ensure_ascii=False)
        sections.append(f"```json\n{example}\n```\n")
    return "\n".join(sections)


def _part(schema: Schema) -> str:
    text = re.sub(r"``", "`", inspect.cleandoc(schema.get("description", "")))
    return "\n".join([f"{text}\n", fields_table(schema)]) if text else fields_table(schema)
