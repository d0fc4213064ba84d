"""From an item to its attributes, and from them to its identifier."""
