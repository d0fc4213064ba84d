"""`kae codebook build | fit | evaluate | show | diff`: make, measure and compare codebooks."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from kae.encoders.catalog_reader import CatalogReader
from kae.streams.cli import terminal
from kae.streams.cli.behaviour_files import read_chosen
from kae.streams.cli.catalog_items import CatalogItems, item_progress, step_progress
from kae.streams.cli.options import CandidatesOption, JsonOption, TopologyOption
from kae.streams.local_run import open_topology

if TYPE_CHECKING:
    from kae.encoders.codebook.codebook import Codebook
    from kae.encoders.tagger.weights import TaggerSource


app = typer.Typer(no_args_is_help=True)
# Building reads the catalog once to learn the dictionary and once to count its words.
PASSES = 2
TaggerOption = Annotated[
    str,
    typer.Option(
        metavar="none|packaged|FOLDER",
        help="Tagger for titles without entity, brand or color: 60 titles per second.",
    ),
]


class PositionBuilt(msgspec.Struct, frozen=True):
    """A position of the codebook, and how much of the catalog its slots cover."""

    position: int
    group: str
    words: int
    solo_slots: int
    reserved: int
    capacity: int
    coverage: float  # occurrences of words that have a slot / occurrences of words


class CodebookBuilt(msgspec.Struct, frozen=True):
    """What `kae codebook build --json` prints."""

    folder: str
    fingerprint: str
    tagger: str  # its fingerprint, or none
    items: int
    rejected: int
    seconds: float
    positions: tuple[PositionBuilt, ...]


@app.callback()
def codebook() -> None:
    """Build, fit, measure and compare codebooks: word -> slot."""


@app.command()
def build(
    catalog: Annotated[list[Path], typer.Argument(metavar="CATALOG...", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the codebook.")],
    topology: TopologyOption = None,
    tagger: TaggerOption = "none",
    as_json: JsonOption = False,
) -> None:
    """Build a codebook from Parquet, JSON or CSV files, with the topology's groups."""
    from kae.encoders.fitting.build import build_codebook

    loaded = open_topology(topology)
    items = CatalogItems(catalog, loaded.catalog)
    began = time.monotonic()
    with item_progress("building", PASSES * items.rows) as on_progress:
        built = build_codebook(
            items.read,
            loaded.codebook_groups,
            loaded.catalog.fields,
            out,
            on_progress,
            _tagger_named(tagger),
            loaded.search_form,
        )
    report = CodebookBuilt(
        folder=str(out),
        fingerprint=built.fingerprint,
        tagger=built.tagger_fingerprint,
        items=items.accepted,
        rejected=items.rejected,
        seconds=round(time.monotonic() - began, 3),
        positions=tuple(_positions(built)),
    )
    if as_json:
        terminal.print_json(report)
    else:
        _print_report(report)


@app.command()
def fit(
    catalog: Annotated[list[Path], typer.Argument(metavar="CATALOG...", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the codebook.")],
    topology: TopologyOption = None,
    declared_groups: Annotated[
        bool, typer.Option("--declared-groups", help="Keep the topology's groups and capacities.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the clusters.")] = 1,
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", show_default=False, help="Vocabulary to use instead of fitting one."
        ),
    ] = None,
    candidates: CandidatesOption = None,
    sample: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Search N titles for candidates, 60 per second."),
    ] = 0,
    behaviour: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Queries with what was chosen, repeatable: ranks the words of an item.",
        ),
    ] = None,
    tagger: TaggerOption = "none",
    as_json: JsonOption = False,
) -> None:
    """Fit words, groups, capacities and clusters to a catalog; every word gets a slot.

    With --behaviour, of several words of an item in one group, the one that queries say most often
    represents it (docs/retriever.md); without, the rarest one.

    With --sample, the vocabulary also gets the words that the tagger (the codebook's, or the
    packaged one) finds in several of those titles.
    """
    from kae.encoders.tagger.weights import PACKAGED
    from kae.encoders.vocabulary.candidates import read_candidates
    from kae.streams.cli.codebook_tables import print_fit
    from kae.streams.cli.groups import write_fitted
    from kae.streams.codebooks.fit import PASSES as FIT_PASSES
    from kae.streams.codebooks.fit import VocabularySource
    from kae.streams.codebooks.fit import fit_and_measure as fit_codebook
    from kae.streams.codebooks.vocabulary import open_vocabulary

    if vocabulary and (candidates or sample):
        raise typer.BadParameter(
            "--vocabulary excludes --candidates and --sample: give candidates to `kae vocabulary "
            "fit`, find them with `kae vocabulary candidates`, or leave out --vocabulary"
        )
    loaded = open_topology(topology)
    tagger_source = _tagger_named(tagger)
    source = VocabularySource(
        open_vocabulary(vocabulary, loaded) if vocabulary else None,
        read_candidates(candidates, loaded.search_form) if candidates else None,
        sample,
        tagger_source.folder if tagger_source else PACKAGED,
    )
    items = CatalogItems(catalog, loaded.catalog)
    chosen = read_chosen(behaviour) if behaviour else ()
    began = time.monotonic()
    with step_progress() as on_progress:
        rows = (source.passes + FIT_PASSES + bool(chosen)) * items.rows
        catalog_reader = CatalogReader(items.read, lambda read: on_progress("reading", read, rows))
        fitted = fit_codebook(
            catalog_reader,
            loaded,
            seed,
            source,
            chosen,
            keep_declared=declared_groups,
            tagger=tagger_source,
            on_progress=on_progress,
        )
    fitted.codebook.save(out)
    files = write_fitted(fitted.groups, out)
    if vocabulary is None:
        files += fitted.learned.vocabulary.save(out / "vocabulary")
    report = fitted.describe(out, files, items.rejected, time.monotonic() - began)
    if as_json:
        terminal.print_json(report)
    else:
        print_fit(report)


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
    catalog: Annotated[list[Path], typer.Argument(metavar="CATALOG...", show_default=False)],
    topology: TopologyOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the baselines' training.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Measure a codebook on a catalog, and closed codebooks of the same capacities."""
    from kae.encoders.codebook.codebook import Codebook
    from kae.streams.cli.codebook_tables import print_evaluated
    from kae.streams.codebooks.quality import (
        CodebookEvaluated,
        encode_catalog,
        quality_of,
        train_baselines,
    )

    codebook = Codebook.load(folder)
    items = CatalogItems(catalog, open_topology(topology).catalog)
    began = time.monotonic()
    with item_progress("encoding", items.rows) as on_progress:
        codes, titles = encode_catalog(codebook, CatalogReader(items.read, on_progress))
    capacities = [group.capacity for group in codebook.groups]
    with step_progress() as trained:
        others = train_baselines(titles, capacities, seed, trained, terminal.print_warning)
    report = CodebookEvaluated(
        **msgspec.structs.asdict(quality_of(codebook, codes)),
        folder=str(folder),
        fingerprint=codebook.fingerprint,
        items=items.accepted,
        rejected=items.rejected,
        seed=seed,
        seconds=round(time.monotonic() - began, 3),
        baselines=others,
    )
    if as_json:
        terminal.print_json(report)
    else:
        print_evaluated(report)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
    head_words: Annotated[
        int, typer.Option("--words", min=0, metavar="N", help="Head words for each position.")
    ] = 8,
    as_json: JsonOption = False,
) -> None:
    """Show what each position holds: solo, cluster and reserved slots, and head words."""
    from kae.encoders.codebook.codebook import Codebook
    from kae.streams.cli.codebook_tables import print_shown
    from kae.streams.codebooks.summary import describe_codebook

    shown = describe_codebook(Codebook.load(folder), str(folder), head_words)
    if as_json:
        terminal.print_json(shown)
    else:
        print_shown(shown)


@app.command()
def diff(
    was: Annotated[Path, typer.Argument(metavar="A", show_default=False)],
    becomes: Annotated[Path, typer.Argument(metavar="B", show_default=False)],
    catalog: Annotated[
        list[Path] | None, typer.Argument(metavar="[CATALOG...]", show_default=False)
    ] = None,
    topology: TopologyOption = None,
    most: Annotated[
        int, typer.Option("--most", min=0, metavar="N", help="Words and items to list.")
    ] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show which words differ between A and B, and which items of a catalog would move."""
    from kae.encoders.codebook.codebook import Codebook
    from kae.streams.cli.codebook_tables import print_difference
    from kae.streams.codebooks.diff import describe_difference, diff_items

    codebooks = Codebook.load(was), Codebook.load(becomes)
    items = None
    if catalog:
        read = CatalogItems(catalog, open_topology(topology).catalog)
        with item_progress("comparing", read.rows) as on_progress:
            items = diff_items(*codebooks, CatalogReader(read.read, on_progress), most)
    difference = describe_difference((str(was), str(becomes)), codebooks, most, items)
    if as_json:
        terminal.print_json(difference)
    else:
        print_difference(difference)


def _tagger_named(name: str) -> "TaggerSource | None":
    from kae.encoders.codebook.codebook import NO_TAGGER
    from kae.encoders.tagger.weights import PACKAGED, TaggerSource

    if name == NO_TAGGER:
        return None
    return TaggerSource.of(PACKAGED if name == "packaged" else Path(name))


def _positions(codebook: "Codebook") -> Iterator[PositionBuilt]:
    for position, group in enumerate(codebook.groups):
        words = [word for word in codebook.words if codebook.position_of(word.category) == position]
        with_slot = [word for word in words if word.index]
        occurrences = sum(word.items for word in words)
        held = sum(word.items for word in with_slot)
        yield PositionBuilt(
            position=position,
            group=group.name,
            words=len(words),
            solo_slots=len({word.index for word in with_slot}),
            reserved=group.reserved,
            capacity=group.capacity,
            coverage=round(held / occurrences, 4) if occurrences else 0.0,
        )


def _print_report(report: CodebookBuilt) -> None:
    terminal.print_table(
        f"Codebook {report.folder}: {report.items:,} items, {report.seconds:.1f} s",
        ("position", "group", "words", "solo slots", "reserved", "capacity", "coverage"),
        (
            (
                built.position,
                built.group,
                built.words,
                built.solo_slots,
                built.reserved,
                built.capacity,
                f"{built.coverage:.1%}",
            )
            for built in report.positions
        ),
    )
    if report.rejected:
        terminal.err.print(f"{report.rejected:,} rows are not items and were left out")
