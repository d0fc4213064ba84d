"""A replica's index over logs in memory: the shards that a worker writes, folded as a replica does.

Nothing is a stand-in but the log: items are encoded, planned, appended, folded and put in a view by
the classes that a line on Kafka runs.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Item
from kae.sinks.log.protocol import MemoryLog
from kae.sinks.shard import Shard
from kae.sinks.store.plan import Upsert, prepare
from kae.streams.kafka.partitioner import partition_of
from kae.streams.replica.index import ReplicaIndex
from kae.streams.topology.types import Topology

BATCH = 1_000


@contextmanager
def fold_in_memory(
    items: Sequence[Item], codebook: Codebook, topology: Topology
) -> Iterator[ReplicaIndex]:
    """The index with a view that has all the items."""
    encoder = Encoder(codebook)
    with tempfile.TemporaryDirectory(prefix="kae-index-") as folder:
        index = ReplicaIndex(topology, codebook.fingerprint, Path(folder) / "replica")
        for number in range(topology.shards):
            mine = [item for item in items if partition_of(item.id, topology.shards) == number]
            log = _written(mine, encoder, topology, Path(folder) / f"worker-{number}")
            for offset, record in enumerate(log.records):
                index.fold_shard(number, offset, record)
        while index.is_refreshing:
            index.refresh_postings(time.monotonic())
        index.swap(at_ms=0)
        yield index
        index.close()


def _written(
    items: Sequence[Item], encoder: Encoder, topology: Topology, folder: Path
) -> MemoryLog:
    log = MemoryLog()
    shard = Shard(
        folder,
        log,
        owner="memory",
        fingerprint=encoder.fingerprint,
        max_bytes=topology.limits.delta_bytes,
        write_buffer_bytes=topology.stores.write_buffer_bytes,
    )
    for first in range(0, len(items), BATCH):
        changes = [Upsert(item.id, 1, b"", item) for item in items[first : first + BATCH]]
        plan = shard.plan_items(prepare(changes, encoder), {})
        shard.append_items(plan, 0, first + len(changes), at_ms=0).apply()
    shard.close()
    return log
