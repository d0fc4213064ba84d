"""Which categories share a position, by information theory."""
