"""Where an item lives: Kafka's default partitioner, murmur2 of the key."""

from kafka.partitioner.default import murmur2

from kae.streams.events import Undecodable


def partition_of(item_id: str, partitions: int) -> int:
    """The partition that Kafka's own producers choose for this key."""
    return home_of(item_id.encode(), partitions)


def home_of(key: bytes, partitions: int) -> int:
    """The partition of a record's key."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


def check_home(item_id: str, partition: int, partitions: int) -> None:
    """Raises: Undecodable when an item's event lies in another partition than its own."""
    home = partition_of(item_id, partitions)
    if home != partition:
        raise Undecodable(
            f"key: {item_id!r} belongs to partition {home}, not {partition}; produce with "
            "Kafka's default partitioner (murmur2 of the key)",
            "partition.wrong",
        )
