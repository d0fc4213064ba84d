"""Snapshots of the shards as commands, workers and replicas use them."""
