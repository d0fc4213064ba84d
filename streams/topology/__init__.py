"""topology.yaml: its types, its problems by line, and its JSON Schema."""
