"""Benchmarks: kae measured against a peer or a physical limit, as a ratio within one run."""
