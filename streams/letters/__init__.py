"""Dead letters after they were written: read, shown, repaired and replayed."""
