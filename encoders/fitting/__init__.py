"""Codebooks built from a catalog, and the closed codebooks that serve as baselines."""
