"""`kae codebook build | fit | evaluate | show | diff`: which word has which slot, how well."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from kae.encoders.groups.occurrences import Passes
from kae.streams.cli import terminal
from kae.streams.cli.catalog_items import CatalogItems, progress, steps
from kae.streams.cli.options import CandidatesOption, JsonOption, TopologyOption
from kae.streams.local_run import open_topology

if TYPE_CHECKING:
    from kae.encoders.codebook.codebook import Codebook
    from kae.encoders.tagger.weights import TaggerSource


app = typer.Typer(no_args_is_help=True)
# Building reads the catalog once to learn the dictionary and once to measure it.
PASSES = 2
TaggerOption = Annotated[
    str,
    typer.Option(
        metavar="none|packaged|FOLDER",
        help="Tagger for titles that fields and dictionary leave open: 60 titles a second.",
    ),
]


class PositionBuilt(msgspec.Struct, frozen=True):
    """A position of the codebook and how much of the catalog its slots hold."""

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
    tagger: str  # none, or its fingerprint
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
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the codebook is written.")],
    topology: TopologyOption = None,
    tagger: TaggerOption = "none",
    as_json: JsonOption = False,
) -> None:
    """Build a codebook from Parquet, JSON Lines or CSV files, with the topology's groups."""
    from kae.encoders.fitting.build import build_codebook

    loaded = open_topology(topology)
    items = CatalogItems(catalog, loaded.catalog)
    began = time.monotonic()
    with progress("building", PASSES * items.rows) as told:
        built = build_codebook(
            items.read,
            loaded.codebook_groups,
            loaded.catalog.fields,
            out,
            told,
            _tagger_named(tagger),
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
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the codebook is written.")],
    topology: TopologyOption = None,
    declared_groups: Annotated[
        bool, typer.Option("--declared-groups", help="Keep the topology's groups and capacities.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the clusters.")] = 1,
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", show_default=False, help="Vocabulary to use, instead of fitting one."
        ),
    ] = None,
    candidates: CandidatesOption = None,
    sample: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Look for candidates in N titles, some 60 a second."),
    ] = 0,
    tagger: TaggerOption = "none",
    as_json: JsonOption = False,
) -> None:
    """Fit words, groups, capacities and clusters to a catalog; every word gets a slot.

    With --sample, words that the tagger (the codebook's, or kae's own) finds in several of those
    titles are words of the vocabulary too.
    """
    from kae.encoders.tagger.weights import PACKAGED
    from kae.encoders.vocabulary.candidates import read_candidates
    from kae.streams.cli.codebook_tables import print_fit
    from kae.streams.cli.groups import write_fitted
    from kae.streams.codebooks.fit import PASSES as FIT_PASSES
    from kae.streams.codebooks.fit import WordsGiven
    from kae.streams.codebooks.fit import fit as fit_codebook
    from kae.streams.codebooks.vocabulary import open_vocabulary

    if vocabulary and (candidates or sample):
        raise typer.BadParameter(
            "a vocabulary has its words already: give --candidates to `kae vocabulary fit`, and "
            "find them with `kae vocabulary candidates`, or leave out --vocabulary"
        )
    loaded = open_topology(topology)
    at_hand = _tagger_named(tagger)
    given = WordsGiven(
        open_vocabulary(vocabulary, loaded) if vocabulary else None,
        read_candidates(candidates) if candidates else None,
        sample,
        at_hand.folder if at_hand else PACKAGED,
    )
    items = CatalogItems(catalog, loaded.catalog)
    began = time.monotonic()
    with steps() as told:
        rows = (given.passes + FIT_PASSES) * items.rows
        passes = Passes(items.read, lambda read: told("reading", read, rows))
        done = fit_codebook(
            passes,
            loaded,
            seed,
            given,
            keep_declared=declared_groups,
            tagger=at_hand,
            told=told,
        )
    done.codebook.save(out)
    files = write_fitted(done.groups, out)
    if vocabulary is None:
        files += done.words.vocabulary.save(out / "vocabulary")
    report = done.describe(out, files, items.rejected, time.monotonic() - began)
    if as_json:
        terminal.print_json(report)
    else:
        print_fit(report)


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
    catalog: Annotated[list[Path], typer.Argument(metavar="CATALOG...", show_default=False)],
    topology: TopologyOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the closed codebooks' training.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Measure a codebook on a catalog, beside closed codebooks of the same capacities."""
    from kae.encoders.codebook.codebook import Codebook
    from kae.streams.cli.codebook_tables import print_evaluated
    from kae.streams.codebooks.quality import Evaluated, baselines, encode, quality_of

    codebook = Codebook.load(folder)
    items = CatalogItems(catalog, open_topology(topology).catalog)
    began = time.monotonic()
    with progress("encoding", items.rows) as told:
        codes, titles = encode(codebook, Passes(items.read, told))
    capacities = [group.capacity for group in codebook.groups]
    with steps() as trained:
        others = baselines(titles, capacities, seed, trained, terminal.print_warning)
    report = Evaluated(
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
        int, typer.Option("--words", min=0, metavar="N", help="Head words of each position.")
    ] = 8,
    as_json: JsonOption = False,
) -> None:
    """Show what each position holds: solo and cluster slots, head words, what is reserved."""
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
        int, typer.Option("--most", min=0, metavar="N", help="Words and items to spell out.")
    ] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show which words moved from A to B, and which items of a catalog would move."""
    from kae.encoders.codebook.codebook import Codebook
    from kae.streams.cli.codebook_tables import print_difference
    from kae.streams.codebooks.diff import describe_difference, diff_items

    codebooks = Codebook.load(was), Codebook.load(becomes)
    items = None
    if catalog:
        read = CatalogItems(catalog, open_topology(topology).catalog)
        with progress("comparing", read.rows) as told:
            items = diff_items(*codebooks, Passes(read.read, told), most)
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
