"""Feed files: read, inspected, and published as item events."""
