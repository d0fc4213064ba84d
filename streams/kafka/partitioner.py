"""Kafka's default partitioner: murmur2 of the key."""

from kafka.partitioner.default import murmur2


def partition_of(item_id: str, partitions: int) -> int:
    """The partition of an item's events, as Kafka's own producers choose it."""
    return partition_of_key(item_id.encode(), partitions)


def partition_of_key(key: bytes, partitions: int) -> int:
    """The partition of a record's key."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions
