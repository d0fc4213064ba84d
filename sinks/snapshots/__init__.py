"""Snapshots: a shard's store at one version, kept file by file where any machine can fetch it."""
