"""The items offsets that a generation is read on from: recorded before the first row is read."""

from kafka import KafkaConsumer, TopicPartition

from kae.streams.errors import AsOfGone
from kae.streams.topology import Topology


def next_offsets(
    topology: Topology, consumer: KafkaConsumer, as_of_ms: int | None
) -> tuple[int, ...]:
    """Of each shard the end of its items, or the first one that is as new as a moment.

    Raises: AsOfGone when the topic may have forgotten some that are newer.
    """
    places = [TopicPartition(topology.items_topic, shard) for shard in range(topology.shards)]
    ends = consumer.end_offsets(places)
    if as_of_ms is None:
        return tuple(ends[place] for place in places)
    begins = consumer.beginning_offsets(places)
    found = consumer.offsets_for_times(dict.fromkeys(places, as_of_ms))
    offsets = []
    for place in places:
        first = found.get(place)
        offset = ends[place] if first is None else first.offset
        if offset == begins[place] > 0:
            raise AsOfGone(
                f"{place.topic}/{place.partition}: begins at offset {offset}, which may be later "
                "than --as-of: newer events are gone. Dump the catalog again, or raise "
                "topics.items_retention_hours before the next dump"
            )
        offsets.append(offset)
    return tuple(offsets)


def beginnings(topology: Topology, consumer: KafkaConsumer) -> tuple[int, ...]:
    """Where the items of each shard begin, when every item is still there.

    Raises: AsOfGone when the topic has forgotten some, for they cannot be made up for.
    """
    places = [TopicPartition(topology.items_topic, shard) for shard in range(topology.shards)]
    begins = consumer.beginning_offsets(places)
    for place in places:
        if begins[place] > 0:
            raise AsOfGone(
                f"{place.topic}/{place.partition}: begins at offset {begins[place]}, so it does "
                "not hold every item. Give a CATALOG with --as-of beside --from-items"
            )
    return tuple(begins[place] for place in places)
