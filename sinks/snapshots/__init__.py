"""Snapshots: a shard's store at one version, in an archive that any machine can fetch from."""
