"""Dead letters: events that could not be indexed, their causes, and their replay."""
