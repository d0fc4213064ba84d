"""What kae remembers: edits, the log they are appended to, the stores folded from it."""
