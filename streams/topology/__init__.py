"""topology.yaml: its types, its problems by line, its schema."""
