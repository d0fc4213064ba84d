"""Markdown, and JSON Schemas in words."""

from collections.abc import Iterable, Sequence
from typing import Any

MADE = "Made from the code by `python -m docs.generate docs/reference`, as a test sees to.\n"
Schema = dict[str, Any]


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def fields_table(schema: Schema) -> str:
    """The properties of an object, one a row."""
    required = schema.get("required", [])
    return table(
        ["key", "value", "", "meaning"],
        (
            [
                f"`{name}`",
                kind(described),
                "required" if name in required else "",
                described.get("description", ""),
            ]
            for name, described in schema["properties"].items()
        ),
    )


def kind(schema: Schema) -> str:
    """What a value may be: its type and its bounds."""
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    if "anyOf" in schema:
        return " or ".join(kind(each) for each in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(f"`{value}`" if value != "" else "empty" for value in values)
    said = schema.get("type", "anything")
    if said == "array":
        return f"array of {kind(schema.get('items', {}))}{_bounds(schema)}"
    if said == "object" and "additionalProperties" in schema:
        return f"object of {kind(schema['additionalProperties'])}"
    return f"{said}{_bounds(schema)}"


def _bounds(schema: Schema) -> str:
    unit = {"string": " characters", "array": " of them"}.get(schema.get("type", ""), "")
    least = schema.get("minimum", schema.get("minLength", schema.get("minItems")))
    most = schema.get("maximum", schema.get("maxLength", schema.get("maxItems")))
    above = schema.get("exclusiveMinimum")
    said = [
        f"like `{schema['pattern']}`" if "pattern" in schema else "",
        str(schema.get("format", "")),
        f"more than {above}" if above is not None else "",
        f"at least {least:,}{unit}" if least is not None else "",
        f"at most {most:,}{unit}" if most is not None else "",
    ]
    told = ", ".join(part for part in said if part)
    return f", {told}" if told else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
