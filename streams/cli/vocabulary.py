"""`kae vocabulary fit | candidates | unknown`: a catalog's words, and candidates for more."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kae.encoders.catalog_reader import CatalogReader
from kae.streams.cli import terminal
from kae.streams.cli.catalog_items import CatalogItems, item_progress, step_progress
from kae.streams.cli.options import CandidatesOption, JsonOption, ReplicaOption, TopologyOption
from kae.streams.local_run import open_topology, replica_address

if TYPE_CHECKING:
    from kae.encoders.vocabulary.candidates import AcceptedCandidates
    from kae.streams.codebooks.vocabulary import CandidatesFound, VocabularyFitted


app = typer.Typer(no_args_is_help=True)


@app.callback()
def vocabulary() -> None:
    """Fit the words of a catalog, and find candidates for more."""


@app.command()
def fit(
    catalog: Annotated[list[Path], typer.Argument(metavar="CATALOG...", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the vocabulary.")],
    candidates: CandidatesOption = None,
    topology: TopologyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit the words of a catalog: by category, with aliases, item counts and sources."""
    from kae.encoders.vocabulary.candidates import read_candidates
    from kae.encoders.vocabulary.fit import learn_vocabulary
    from kae.streams.codebooks.vocabulary import describe_vocabulary

    loaded = open_topology(topology)
    known_candidates = read_candidates(candidates, loaded.search_form) if candidates else None
    items = CatalogItems(catalog, loaded.catalog)
    began = time.monotonic()
    with item_progress("reading", items.rows) as on_progress:
        fitted = learn_vocabulary(
            CatalogReader(items.read, on_progress),
            loaded.codebook_groups,
            loaded.catalog.fields,
            known_candidates,
            form=loaded.search_form,
        )
    fitted.save(out)
    report = describe_vocabulary(
        fitted, out, items.rejected, time.monotonic() - began, known_candidates
    )
    if as_json:
        terminal.print_json(report)
    else:
        print_vocabulary(report)


@app.command(name="candidates")
def find(
    catalog: Annotated[list[Path], typer.Argument(metavar="CATALOG...", show_default=False)],
    folder: Annotated[
        Path, typer.Option("--vocabulary", metavar="DIR", help="Vocabulary with the known words.")
    ],
    tagger: Annotated[
        str, typer.Option(metavar="none|packaged|FOLDER", help="Tagger to search with.")
    ] = "packaged",
    sample: Annotated[
        int, typer.Option(min=1, metavar="N", help="Distinct titles to search, 60 per second.")
    ] = 2000,
    limit: Annotated[
        int, typer.Option(min=0, metavar="N", help="Candidates to list, most frequent first.")
    ] = 100,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default=False, help="File for the table, for --candidates."
        ),
    ] = None,
    topology: TopologyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find words that the tagger finds in titles and the vocabulary does not have."""
    from kae.encoders.vocabulary.candidates import write_candidates
    from kae.encoders.vocabulary.vocabulary import Vocabulary
    from kae.streams.codebooks.vocabulary import describe_candidates, search_candidates

    known = Vocabulary.load(folder)
    loaded = open_topology(topology)
    items = CatalogItems(catalog, loaded.catalog)
    began = time.monotonic()
    with step_progress() as on_progress:
        catalog_reader = CatalogReader(
            items.read, lambda read: on_progress("reading", read, items.rows)
        )
        search = search_candidates(
            catalog_reader, known, loaded, _tagger_folder(tagger), sample, on_progress
        )
    if out is not None:
        write_candidates(search.found[:limit], out)
    report = describe_candidates(search, known, limit, out, time.monotonic() - began)
    if as_json:
        terminal.print_json(report)
    else:
        print_candidates(report)


@app.command()
def unknown(
    limit: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="Words to list, at most.")
    ] = 100,
    topology: TopologyOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the words that searches of a replica did not find, most frequent first."""
    from kae.streams.clock import rfc3339
    from kae.streams.replica_api.client import ReplicaClient

    client = ReplicaClient(replica_address(open_topology(topology), replica))
    found = client.unknown_words(limit)
    if as_json:
        terminal.print_json(found)
        return
    if not found.least_requests:
        terminal.print_warning(
            "replica.unknown_requests is 0 in its topology.yaml: nothing is counted"
        )
    terminal.print_table(
        f"Unknown words of {found.requests:,} searches since {rfc3339(found.since_ms)}",
        ("word", "requests", "at most"),
        ((one.word, one.requests, one.at_most) for one in found.words),
    )


def _tagger_folder(named: str) -> Path | None:
    from kae.encoders.codebook.codebook import NO_TAGGER
    from kae.encoders.tagger.weights import PACKAGED

    if named == NO_TAGGER:
        return None
    return PACKAGED if named == "packaged" else Path(named)


def print_vocabulary(report: "VocabularyFitted") -> None:
    """Print one line for each category, and how many candidates were accepted."""
    terminal.print_table(
        f"Vocabulary {report.folder}: {report.words:,} words of {report.items:,} items, "
        f"{report.seconds:.1f} s",
        ("category", "words", "aliases", "misspelled", "field", "title", "seed", "tagger"),
        (
            (
                each.category,
                each.words,
                each.aliases,
                each.misspelled,
                *each.by_source.values(),
            )
            for each in report.categories
            if each.words
        ),
    )
    if report.candidates:
        print_accepted(report.candidates)
    if report.uncounted:
        terminal.print_warning(
            f"more words than fit in memory: a form's count may be {report.uncounted:,} items too "
            "low, and forms with fewer items may be missing"
        )
    if report.rejected:
        terminal.err.print(f"{report.rejected:,} rows are not items and were left out")


def print_accepted(accepted: "AcceptedCandidates") -> None:
    """Print how many candidates were accepted."""
    terminal.out.print(
        f"candidates: {accepted.taken:,} accepted, {accepted.known:,} known without them, "
        f"{accepted.absent:,} in no title",
        highlight=False,
    )


def print_candidates(report: "CandidatesFound") -> None:
    """Print the candidates, most frequent first, and where they were written."""
    by_category = ", ".join(f"{name} {n:,}" for name, n in report.categories.items())
    terminal.print_table(
        f"{report.found:,} candidates in {report.titles:,} titles, {report.seconds:.1f} s"
        + (f": {by_category}" if by_category else ""),
        ("category", "word", "titles", "score", "example"),
        ((c.category, c.word, c.titles, c.score, c.example) for c in report.candidates),
    )
    if report.file:
        terminal.out.print(
            f"{report.file}: strike out what is not a word, then "
            f"kae vocabulary fit CATALOG... --candidates {report.file} --out DIR",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
