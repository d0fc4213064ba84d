"""Snapshots of the shards: taken by workers, begun from by workers and replicas, pruned."""
