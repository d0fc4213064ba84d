"""Dead letters: what could not be indexed, listed and sent again."""
