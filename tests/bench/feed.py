"""The benchmark's payload: the Icecat catalog, repeated under other ids."""

from collections.abc import Iterator
from itertools import cycle, islice

from kae.deploy.demo import CATALOG
from kae.encoders.attributes import Item
from kae.streams.catalog import read_items
from kae.streams.events import encode_item_upsert
from kae.streams.topology import Topology


def bench_items(count: int) -> Iterator[Item]:
    """Real titles, descriptions and fields; every id once."""
    catalog = list(read_items(CATALOG, Topology.load().catalog))
    for number, item in enumerate(islice(cycle(catalog), count)):
        turn = number // len(catalog)
        yield Item(f"{item.id}-{turn}", item.title, item.description, item.fields)


def bench_events(count: int) -> list[tuple[bytes, bytes]]:
    """(key, value) of an upsert each."""
    return [(i.id.encode(), encode_item_upsert(i, 1, "/bench")) for i in bench_items(count)]
