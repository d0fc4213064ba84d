"""The events of items and terms: their bytes, bounds, signatures and contracts."""
