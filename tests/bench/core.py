"""The worker's path without Kafka and Faust, compared with a fixed floor of unavoidable work."""

import tempfile
import time
from pathlib import Path

import ahocorasick_rs
import msgspec
from rocksdict import Options, Rdict, WriteBatch

from kae.bench.feed import bench_events
from kae.bench.report import Core
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.sinks.log.protocol import MemoryLog
from kae.sinks.shard import Shard
from kae.sinks.store.plan import prepare
from kae.streams.cli import terminal
from kae.streams.events.cloudevents import Envelope
from kae.streams.events.items import ItemData, decode_item
from kae.streams.runtime.interpreter import set_for_indexing
from kae.streams.topology.types import Topology

ITEMS = 19_000
BATCH = 1_000
ROUNDS = 5  # each is short, so more of them than of the live path
MAX_EVENT = 1 << 20

Events = list[tuple[bytes, bytes]]


def measure_core() -> Core:
    """Floor and core in turn, on the same events."""
    terminal.err.print(f"core and floor, {ITEMS:,} items, {ROUNDS} times", highlight=False)
    events = bench_events(ITEMS)
    codebook = Codebook.load(Topology.load().codebook_folder)
    floors, cores = [], []
    set_for_indexing()  # as a worker does
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="kae-bench-") as folder:
            floors.append(ITEMS / _floor(events, codebook, Path(folder) / "floor"))
            cores.append(ITEMS / _core(events, codebook, Path(folder) / "core"))
    return Core(floors, cores)


def _core(events: Events, codebook: Codebook, folder: Path) -> float:
    """Decode, encode, plan, append to a log in memory, fold, write."""
    encoder = Encoder(codebook)
    topology = Topology.load()
    shard = Shard(
        folder,
        MemoryLog(),
        owner="bench",
        fingerprint=encoder.fingerprint,
        max_bytes=topology.limits.delta_bytes,
        write_buffer_bytes=topology.stores.write_buffer_bytes,
    )
    began = time.perf_counter()
    for first in range(0, len(events), BATCH):
        batch = events[first : first + BATCH]
        changes = [decode_item(key, value, MAX_EVENT) for key, value in batch]
        plan = shard.plan_items(prepare(changes, encoder), {})
        shard.append_items(plan, 0, first + len(batch), at_ms=0).apply()
    seconds = time.perf_counter() - began
    shard.close()
    return seconds


def _floor(events: Events, codebook: Codebook, folder: Path) -> float:
    """Typed decoding, one scan of the title, one point get, four keys in a batch of 1,000 items."""
    envelope = msgspec.json.Decoder(Envelope)
    data = msgspec.json.Decoder(ItemData)
    words = sorted({word.word for word in codebook.words if word.scanned})
    scanner = ahocorasick_rs.AhoCorasick(words, matchkind=ahocorasick_rs.MatchKind.LeftmostLongest)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    store = Rdict(str(folder), options=options)
    began = time.perf_counter()
    for first in range(0, len(events), BATCH):
        rows = WriteBatch(raw_mode=True)
        for key, value in events[first : first + BATCH]:
            item = data.decode(envelope.decode(value).data)
            scanner.find_matches_as_indexes(item.title)
            store.get(key)
            for family in (b"i", b"o", b"t", b"m"):
                rows.put(family + key, value if family == b"i" else b"")
        store.write(rows)
    seconds = time.perf_counter() - began
    store.close()
    return seconds
