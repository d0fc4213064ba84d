"""The log: its records as types and bytes, the fold that says which count, and ownership."""
