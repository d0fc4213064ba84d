"""From items and queries to words and slots: pure functions over an immutable codebook."""
