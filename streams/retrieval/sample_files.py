"""The folder that `kae samples build` writes: samples by stage, and what they were made of.

    S0/part-0000.parquet, ...   a row a sample; S1, S2, S3 likewise
    samples.json                the manifest, written last

The rows of a part are ordered, and nothing in the folder depends on time, paths or the number of
workers, so the same inputs and seed give the same bytes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from pyarrow import parquet

from kae.encoders.categories import POSITIONS
from kae.encoders.retriever.samples import STAGES, Sample
from kae.encoders.retriever.stage_samples import StageSamples
from kae.streams.backfill.work import write_atomically
from kae.streams.errors import SamplesInvalid

MANIFEST = "samples.json"
FORMAT = 1
_SLOTS = pa.list_(pa.int32(), POSITIONS)
SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("text", pa.string()),
        ("slots", _SLOTS),
        ("history", pa.list_(_SLOTS)),
        ("target_text", pa.string()),
        ("target_slots", _SLOTS),
    ]
)
_NAMES = SCHEMA.names
_BATCH = 8192
_REMEDY = "build them again with `kae samples build`"


class SampleFile(msgspec.Struct, frozen=True):
    """A file of samples; its hash is of its bytes."""

    name: str
    rows: int
    blake2b: str


class InputCounts(msgspec.Struct, frozen=True):
    """What became of one kind of input: read = used + all that was passed over, by cause."""

    read: int
    used: int
    passed_over: dict[str, int]


class OffsetRange(msgspec.Struct, frozen=True):
    """What was read of a partition: from the first offset that it still held, before `end`."""

    partition: int
    begin: int
    end: int


class SampleSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where items came from: a generation at a version, or files of a catalog."""

    generation: int | None = None
    versions: tuple[int, ...] = ()  # of the shards' logs
    bindings: int | None = None  # version of their log
    catalog: tuple[SampleFile, ...] = ()  # without rows
    behaviour: tuple[SampleFile, ...] = ()
    behaviours: tuple[OffsetRange, ...] = ()  # of the topic


class SamplesManifest(msgspec.Struct, frozen=True, kw_only=True):
    """samples.json."""

    format: int = FORMAT
    codebook: str  # its fingerprint
    capacities: tuple[int, ...]
    source: SampleSource
    seed: int
    routing_form: str
    routing_each: int
    mix: dict[str, dict[str, float]]  # of the topology, by stage
    counts: dict[str, InputCounts]  # items, behaviour, words, reserved
    tasks: dict[str, dict[str, int]]  # samples by stage and task
    files: tuple[SampleFile, ...]


def write_part(path: Path, samples: Sequence[Sample]) -> None:
    """Write some samples; the same ones give the same bytes. Raises: DiskFull."""
    columns = [[_value(sample, name) for sample in samples] for name in _NAMES]
    table = pa.table(
        [pa.array(column, kind) for column, kind in zip(columns, SCHEMA.types, strict=True)],
        schema=SCHEMA,
    )
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink, compression="zstd")
    write_atomically(path, sink.getvalue().to_pybytes())


def _value(sample: Sample, name: str) -> Any:
    value = getattr(sample, name)
    return [list(slots) for slots in value] if name == "history" else value


def read_part(path: Path) -> Iterator[Sample]:
    """Raises: SamplesInvalid."""
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH):
                yield from msgspec.convert(batch.to_pylist(), list[Sample])
    except (pa.ArrowException, OSError, msgspec.ValidationError) as error:
        raise SamplesInvalid(f"{path}: {error}; {_REMEDY}") from None


def write_manifest(folder: Path, manifest: SamplesManifest) -> None:
    write_atomically(
        folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    )


def read_manifest(folder: Path) -> SamplesManifest:
    """Raises: SamplesInvalid."""
    path = folder / MANIFEST
    try:
        found = msgspec.json.decode(path.read_bytes(), type=SamplesManifest)
    except OSError as error:
        raise SamplesInvalid(f"{folder}: no samples ({error.strerror}); {_REMEDY}") from None
    except msgspec.DecodeError as error:
        raise SamplesInvalid(f"{path}: {error}; {_REMEDY}") from None
    if found.format != FORMAT:
        raise SamplesInvalid(f"{path}: format {found.format}, this kae reads {FORMAT}; {_REMEDY}")
    return found


def load_samples(folder: Path) -> tuple[SamplesManifest, StageSamples]:
    """All samples of a folder, each file compared with its hash. Raises: SamplesInvalid."""
    manifest = read_manifest(folder)
    samples: list[Sample] = []
    for file in manifest.files:
        path = folder / file.name
        if not path.exists() or hash_file(path) != file.blake2b:
            raise SamplesInvalid(f"{path}: is not what {MANIFEST} says; {_REMEDY}")
        samples += read_part(path)
    return manifest, StageSamples(samples)


def written_files(folder: Path) -> Iterator[SampleFile]:
    """The files of samples in a folder, stage by stage."""
    for stage in STAGES:
        for path in sorted((folder / stage).glob("part-*.parquet")):
            rows = parquet.read_metadata(path).num_rows
            yield SampleFile(f"{stage}/{path.name}", rows, hash_file(path))


def count_tasks(folder: Path, files: Iterable[SampleFile]) -> dict[str, dict[str, int]]:
    """How many samples there are, by stage and task; reads one column."""
    counts: Counter[str] = Counter()
    for file in files:
        column = parquet.read_table(folder / file.name, columns=["task"])["task"]
        counts.update({one["values"]: one["counts"] for one in column.value_counts().to_pylist()})
    return {
        stage: {task: counts[task] for task in tasks if counts[task]}
        for stage, tasks in STAGES.items()
    }


def hash_file(path: Path) -> str:
    hashed = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hashed.update(block)
    return hashed.hexdigest()


def first_samples(folder: Path, task: str, most: int) -> list[Sample]:
    """The first samples of a task, to be shown."""
    found = (
        sample
        for file in read_manifest(folder).files
        for sample in read_part(folder / file.name)
        if sample.task == task
    )
    return list(islice(found, most))
