"""Build samples from a generation or a catalog, and behaviour, into a new folder."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.retriever.samples import SampledItem
from kae.streams.backfill.job import split_catalog
from kae.streams.backfill.work import temporary_name
from kae.streams.catalog.rows import open_catalog
from kae.streams.codebooks.opening import open_codebook
from kae.streams.errors import SamplesInvalid
from kae.streams.replica.view import View
from kae.streams.retrieval.behaviour import behaviour_parts
from kae.streams.retrieval.behaviour_export import FOLDER, ExportedBehaviours, export_behaviours
from kae.streams.retrieval.indexes import serving_index
from kae.streams.retrieval.sample_files import (
    InputCounts,
    SampleFile,
    SamplesManifest,
    SampleSource,
    count_tasks,
    hash_file,
    write_manifest,
    written_files,
)
from kae.streams.retrieval.sample_job import (
    BoundForm,
    CatalogRows,
    ExportedItems,
    ItemsPart,
    SamplesJob,
    product_type,
    save_job,
)
from kae.streams.retrieval.sample_pipeline import run_samples_pipeline
from kae.streams.retrieval.sample_steps import COUNTS, KINDS, USED
from kae.streams.topology.types import Topology

# Rows that a worker reads at a time.
SPLIT_ROWS = 16_384
# Inputs of one part, each of which gives some samples.
PART_INPUTS = 50_000


@dataclass(frozen=True, slots=True)
class SamplesOptions:
    """Without a catalog, items and terms are those of the generation that serves."""

    out: Path
    behaviour: tuple[Path, ...] = ()
    catalog: tuple[Path, ...] = ()
    seed: int = 0
    # Offsets of the behaviours topic, one a partition; empty: to its end; None: it is not read.
    behaviours_until: tuple[int, ...] | None = None
    beam: tuple[str, ...] = ()


def build_samples(topology: Topology, options: SamplesOptions) -> SamplesManifest:
    """Write a folder of samples; until it is whole, its name is another.

    Raises: SamplesInvalid when the folder is there already, or when counts do not add up;
    CatalogInvalid, CodebookDiffers, DiskFull; without a catalog, what `Replica.open` raises, and
    for the topic of behaviour, what `export_behaviours` raises.
    """
    out = options.out
    if out.exists() and any(out.iterdir()):
        raise SamplesInvalid(f"{out}: holds files already; give another --out, or remove it")
    folder = temporary_name(out.absolute())
    try:
        job, source = _prepare(topology, options, folder)
        run_samples_pipeline(folder, options.beam)
        manifest = _manifest(topology, job, source, folder)
        for name in ("job.json", "topology.yaml", COUNTS):
            (folder / name).unlink()
        shutil.rmtree(folder / "items", ignore_errors=True)
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
        write_manifest(folder, manifest)
        if out.exists():
            out.rmdir()
        folder.rename(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return manifest


def _prepare(
    topology: Topology, options: SamplesOptions, folder: Path
) -> tuple[SamplesJob, SampleSource]:
    """Write the job to the folder of the samples."""
    until = options.behaviours_until
    exported = ExportedBehaviours((), (), 0, {})
    if until is not None:
        exported = export_behaviours(topology, until, folder)
    if options.catalog:
        items: tuple[ItemsPart, ...] = tuple(_catalog_parts(topology, options.catalog))
        rows = sum(feed.rows for feed in open_catalog(options.catalog, topology.catalog))
        source = SampleSource(catalog=_hashes(options.catalog))
        job = _job(topology, options, open_codebook(topology), items, rows, exported)
        save_job(folder, job, topology)
    else:
        with serving_index(topology) as index:
            view = index.view
            items, terms = tuple(export_items(view, folder)), tuple(bound_forms(view))
            source = SampleSource(
                generation=view.generation,
                versions=view.versions,
                bindings=view.bindings.version,
            )
            job = _job(topology, options, index.codebook, items, view.items, exported)
            job = msgspec.structs.replace(job, terms=terms)
            save_job(folder, job, index.topology)
    hashes = _hashes(options.behaviour)
    return job, msgspec.structs.replace(source, behaviour=hashes, behaviours=exported.ranges)


def _job(
    topology: Topology,
    options: SamplesOptions,
    codebook: Codebook,
    items: tuple[ItemsPart, ...],
    rows: int,
    exported: ExportedBehaviours,
) -> SamplesJob:
    behaviour = behaviour_parts(options.behaviour)
    rows += sum(part.rows for part in behaviour) + exported.records
    routing = topology.retriever_part.routing
    return SamplesJob(
        fingerprint=codebook.fingerprint,
        capacities=tuple(group.capacity for group in codebook.groups),
        seed=options.seed,
        routing_form=routing.form,
        routing_each=routing.each,
        parts=1 + rows // PART_INPUTS,
        items=items,
        behaviour=tuple(behaviour),
        behaviours=exported.files,
        refused=dict(exported.refused),
    )


def _catalog_parts(topology: Topology, files: Sequence[Path]) -> Iterator[CatalogRows]:
    for split in split_catalog(files, topology, SPLIT_ROWS):
        path = str(files[split.file].resolve())
        yield CatalogRows(split.file, path, split.groups, split.before)


def export_items(view: View, folder: Path) -> Iterator[ExportedItems]:
    """Write the items of a view to files, shard by shard, in the order of their ids."""
    (folder / "items").mkdir(parents=True)
    slots = {
        binding: (bound.position, bound.index) for binding, bound in sorted(view.visible.items())
    }
    for shard, reader in enumerate(view.shards):
        attached = [
            (slots[binding], ordinals)
            for binding, ordinals in sorted(reader.attached.items())
            if binding in slots
        ]
        batch: list[SampledItem] = []
        parts = 0
        for item in reader.items():
            bound = tuple(slot for slot, ordinals in attached if item.ordinal in ordinals)
            kind = product_type(item.attributes)
            batch.append(SampledItem(item.id, item.title, item.identifier, kind, bound))
            if len(batch) == SPLIT_ROWS:
                yield _exported(folder, shard, parts, batch)
                batch, parts = [], parts + 1
        if batch:
            yield _exported(folder, shard, parts, batch)


def _exported(folder: Path, shard: int, part: int, batch: list[SampledItem]) -> ExportedItems:
    name = f"items/{shard:04d}-{part:04d}.msgpack"
    (folder / name).write_bytes(msgspec.msgpack.encode(batch))
    return ExportedItems(name)


def bound_forms(view: View) -> Iterator[BoundForm]:
    for binding, form, slot in sorted(view.terms.bindings, key=lambda bound: (bound[1], bound[0])):
        yield BoundForm(binding, form, slot.position, slot.index)


def _manifest(
    topology: Topology, job: SamplesJob, source: SampleSource, folder: Path
) -> SamplesManifest:
    files = tuple(written_files(folder))
    return SamplesManifest(
        codebook=job.fingerprint,
        capacities=job.capacities,
        source=source,
        seed=job.seed,
        routing_form=job.routing_form,
        routing_each=job.routing_each,
        mix={stage.name: dict(stage.mix) for stage in topology.retriever_part.stages},
        counts=_counts(folder, job.refused),
        tasks=count_tasks(folder, files),
        files=files,
    )


def _counts(folder: Path, refused: Mapping[str, int]) -> dict[str, InputCounts]:
    found = msgspec.json.decode((folder / COUNTS).read_bytes(), type=dict[str, dict[str, int]])
    if refused:
        found["behaviour"] = dict(sorted({**found.get("behaviour", {}), **refused}.items()))
    return {
        kind: InputCounts(
            read=sum(outcomes.values()),
            used=outcomes.get(USED, 0),
            passed_over={cause: n for cause, n in outcomes.items() if cause != USED},
        )
        for kind in KINDS
        for outcomes in [found.get(kind, {})]
    }


def _hashes(files: Sequence[Path]) -> tuple[SampleFile, ...]:
    return tuple(SampleFile(path.name, 0, hash_file(path)) for path in files)
