"""The benchmark's payload: the Icecat catalog, repeated under new ids."""

from collections.abc import Iterator
from itertools import cycle, islice

from kafka import KafkaProducer

from kae.deploy.demo import CATALOG
from kae.encoders.items import Item
from kae.streams.catalog.rows import read_items
from kae.streams.events.items import encode_item_upsert
from kae.streams.topology.types import Topology


def bench_items(count: int) -> Iterator[Item]:
    """Real titles, descriptions and fields; every id once."""
    catalog = list(read_items(CATALOG, Topology.load().catalog))
    for number, item in enumerate(islice(cycle(catalog), count)):
        turn = number // len(catalog)
        yield Item(f"{item.id}-{turn}", item.title, item.description, item.fields)


def bench_events(count: int) -> list[tuple[bytes, bytes]]:
    """(key, value) of an upsert each."""
    return [(i.id.encode(), encode_item_upsert(i, 1, "/bench")) for i in bench_items(count)]


def fill(topology: Topology, count: int) -> None:
    """Publish an upsert of each item, as fast as it goes."""
    producer = KafkaProducer(
        bootstrap_servers=topology.kafka.bootstrap, acks="all", linger_ms=20, batch_size=1 << 17
    )
    for item in bench_items(count):
        value = encode_item_upsert(item, 1, "/bench")
        producer.send(topology.items_topic, key=item.id.encode(), value=value)
    producer.flush()
    producer.close()
