"""A backfill of many items, compared with Tantivy's bulk indexing and a bare count."""

import json
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import msgspec
import pyarrow as pa
from pyarrow import parquet

from kae.bench.feed import bench_items
from kae.bench.live import BenchFailed
from kae.bench.tantivy_peer import TantivyPeer
from kae.streams.cli import terminal

GROUP_ROWS = 16_384
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("title", pa.string()),
        ("description", pa.string()),
        ("fields", pa.map_(pa.string(), pa.string())),
    ]
)


class BackfillBench(msgspec.Struct, frozen=True):
    """What `kae bench backfill --json` prints; codebook `light`, two worker processes."""

    items_per_second: float
    ratio_to_tantivy_bulk: float
    ratio_to_beam_passthrough: float
    peak_memory_mb: float
    growth: float  # seconds of `items` / (items / small_items x seconds of `small_items`)
    items: int
    small_items: int
    seconds: float
    small_seconds: float
    tantivy_seconds: float
    passthrough_seconds: float


def measure_backfill(items: int, small: int) -> BackfillBench:
    """Each side in a process of its own, on the same rows; imports of modules count for nobody."""
    with tempfile.TemporaryDirectory(prefix="kae-bench-") as name:
        folder = Path(name)
        terminal.err.print(f"writing {items:,} and {small:,} items", highlight=False)
        few, many = _write(folder, small), _write(folder, items)
        terminal.err.print("backfilling both", highlight=False)
        little, _ = _run("backfill", few, folder / "few")
        long, peak = _run("backfill", many, folder / "many")
        passthrough, _ = _run("count", many, folder / "count")
        terminal.err.print("tantivy", highlight=False)
        tantivy = _tantivy(items, folder / "tantivy")
    return BackfillBench(
        items_per_second=round(items / long, 1),
        ratio_to_tantivy_bulk=round(tantivy / long, 3),
        ratio_to_beam_passthrough=round(passthrough / long, 3),
        peak_memory_mb=round(peak / (1 << 20), 1),
        growth=round(long / (items / small * little), 3),
        items=items,
        small_items=small,
        seconds=round(long, 2),
        small_seconds=round(little, 2),
        tantivy_seconds=round(tantivy, 2),
        passthrough_seconds=round(passthrough, 2),
    )


def _write(folder: Path, count: int) -> Path:
    path = folder / f"{count}.parquet"
    items = bench_items(count)
    with parquet.ParquetWriter(path, SCHEMA) as writer:
        while rows := list(islice(items, GROUP_ROWS)):
            columns = [
                [item.id for item in rows],
                [item.title for item in rows],
                [item.description for item in rows],
                [[(k, _text(v)) for k, v in item.fields.items()] for item in rows],
            ]
            arrays = [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), GROUP_ROWS)
    return path


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _run(what: str, feed: Path, folder: Path) -> tuple[float, int]:
    argv = [sys.executable, "-m", "kae.bench.backfill_process", what, str(feed), str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchFailed(f"{what} of {feed.name} ended with {done.returncode}: {done.stderr}")
    told = json.loads(done.stdout.splitlines()[-1])
    return told["seconds"], told["peak"]


def _tantivy(items: int, folder: Path) -> float:
    documents = list(bench_items(items))
    began = time.perf_counter()
    TantivyPeer(documents, folder)
    return time.perf_counter() - began
