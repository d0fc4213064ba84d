"""Markdown tables, and JSON Schemas as text."""

from collections.abc import Iterable, Sequence
from typing import Any

MADE = (
    "Generated from the code by `python -m docs.generate docs/reference`; a test compares them.\n"
)
Schema = dict[str, Any]


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def fields_table(schema: Schema) -> str:
    """The properties of an object, one per row."""
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
    """The type of a value and its bounds, as text."""
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    if "anyOf" in schema:
        return " or ".join(kind(each) for each in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(f"`{value}`" if value != "" else "empty" for value in values)
    name = schema.get("type", "anything")
    if name == "array":
        return f"array of {kind(schema.get('items', {}))}{_bounds(schema)}"
    if name == "object" and "additionalProperties" in schema:
        return f"object of {kind(schema['additionalProperties'])}"
    return f"{name}{_bounds(schema)}"


def _bounds(schema: Schema) -> str:
    unit = {"string": " characters", "array": " elements"}.get(schema.get("type", ""), "")
    minimum = schema.get("minimum", schema.get("minLength", schema.get("minItems")))
    maximum = schema.get("maximum", schema.get("maxLength", schema.get("maxItems")))
    above = schema.get("exclusiveMinimum")
    parts = [
        f"like `{schema['pattern']}`" if "pattern" in schema else "",
        str(schema.get("format", "")),
        f"more than {above}" if above is not None else "",
        f"at least {minimum:,}{unit}" if minimum is not None else "",
        f"at most {maximum:,}{unit}" if maximum is not None else "",
    ]
    text = ", ".join(part for part in parts if part)
    return f", {text}" if text else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
