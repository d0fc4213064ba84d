"""The JSON Schema of topology.yaml, for editors: the bounds from the types, the comments from the
reference."""

import re
from typing import Any

from kae.streams.topology.types import REFERENCE, Topology
from kae.streams.topology.yaml_lines import KeyPath, parse

TRAILING = re.compile(r"\s# (.*)$")
TopologySchema = dict[str, Any]


def topology_schema() -> TopologySchema:
    """The bounds of single values; `kae topology check` also checks how they fit together."""
    schema = Topology.model_json_schema()
    parts: dict[str, TopologySchema] = schema["$defs"]
    for owner in (schema, *parts.values()):
        _drop_titles(owner)
    comments = _comments(REFERENCE.read_text(encoding="utf-8"))
    _describe(schema, parts, comments, ())
    return {"title": "topology.yaml", **schema}


def _describe(
    owner: TopologySchema,
    parts: dict[str, TopologySchema],
    comments: dict[KeyPath, str],
    path: KeyPath,
) -> None:
    """Describe each key below a path by its comment in the reference."""
    for name, described in owner.get("properties", {}).items():
        key = (*path, name)
        if key in comments:
            described["description"] = comments[key]
        _describe(parts.get(part_name(described), {}), parts, comments, key)


def part_name(described: TopologySchema) -> str:
    """The name of a key's part, which may be left out; empty for a single value."""
    references = (one.get("$ref", "") for one in (described, *described.get("anyOf", ())))
    return next((str(one).rpartition("/")[2] for one in references if one), "")


def _drop_titles(schema: TopologySchema) -> None:
    """Remove the titles, since pydantic only repeats the names."""
    for described in (schema, *schema["properties"].values()):
        described.pop("title", None)


def _comments(text: str) -> dict[KeyPath, str]:
    """The comment behind each key, or above it."""
    lines = text.splitlines()
    found = {}
    for path, number in parse(text).lines.items():
        trailing = TRAILING.search(lines[number - 1])
        comment = trailing[1] if trailing else _above(lines, number - 1)
        if comment:
            found[path] = comment
    return found


def _above(lines: list[str], index: int) -> str:
    block: list[str] = []
    while index and lines[index - 1].lstrip().startswith("#"):
        index -= 1
        block.insert(0, lines[index].lstrip().removeprefix("#").strip())
    return " ".join(block)
