"""The page of topology.yaml: every key, its type and its meaning."""

from docs.generate.markdown import MADE, Schema, fields_table, kind

from kae.streams.topology.schema import part_name, topology_schema

HEAD = f"""# topology.yaml

{MADE}
Every key is required, unless its row or its text says otherwise. `kae topology check` reports
problems by line. The first line of the packaged file points editors to the schema,
`docs/contracts/topology.schema.json`.
"""


def keys_page() -> str:
    """The content of the page."""
    schema = topology_schema()
    parts: dict[str, Schema] = schema["$defs"]
    sections = [HEAD]
    for name, described in schema["properties"].items():
        sections.append(f"## {name}\n")
        part = described.get("items", described)
        if "description" in described:
            sections.append(described["description"] + "\n")
        if keys := part_name(part):
            sections.append(fields_table(parts[keys]))
        else:
            sections.append(kind(described).capitalize() + ".\n")
    sections.append("## kafka.security\n")
    sections.append(fields_table(parts["SecurityPart"]))
    return "\n".join(sections)
