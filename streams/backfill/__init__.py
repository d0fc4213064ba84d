"""Backfill: a whole generation built from a catalog or from the items topic, by Beam pipelines."""
