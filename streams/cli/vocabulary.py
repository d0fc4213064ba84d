"""`kae vocabulary fit | candidates | unknown`: a catalog's words, and those that may be more."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kae.encoders.groups.occurrences import Passes
from kae.streams.cli import terminal
from kae.streams.cli.catalog_items import CatalogItems, progress, steps
from kae.streams.cli.options import CandidatesOption, JsonOption, ReplicaOption, TopologyOption
from kae.streams.local_run import open_topology, replica_address

if TYPE_CHECKING:
    from kae.encoders.vocabulary.candidates import AcceptedCandidates
    from kae.streams.codebooks.vocabulary import CandidatesFound, VocabularyFitted


app = typer.Typer(no_args_is_help=True)


@app.callback()
def vocabulary() -> None:
    """Fit the words of a catalog; find candidates for more of them."""


@app.command()
def fit(
    catalog: Annotated[list[Path], typer.Argument(metavar="CATALOG...", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the vocabulary is written.")],
    candidates: CandidatesOption = None,
    topology: TopologyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit the words of a catalog: by category, with aliases, who has them and who says so."""
    from kae.encoders.vocabulary.candidates import read_candidates
    from kae.encoders.vocabulary.fit import learn_vocabulary
    from kae.streams.codebooks.vocabulary import describe_vocabulary

    loaded = open_topology(topology)
    told_words = read_candidates(candidates) if candidates else None
    items = CatalogItems(catalog, loaded.catalog)
    began = time.monotonic()
    with progress("reading", items.rows) as told:
        fitted = learn_vocabulary(
            Passes(items.read, told), loaded.codebook_groups, loaded.catalog.fields, told_words
        )
    fitted.save(out)
    report = describe_vocabulary(fitted, out, items.rejected, time.monotonic() - began, told_words)
    if as_json:
        terminal.print_json(report)
    else:
        print_vocabulary(report)


@app.command(name="candidates")
def find(
    catalog: Annotated[list[Path], typer.Argument(metavar="CATALOG...", show_default=False)],
    folder: Annotated[
        Path, typer.Option("--vocabulary", metavar="DIR", help="What is known: a vocabulary.")
    ],
    tagger: Annotated[
        str, typer.Option(metavar="none|packaged|FOLDER", help="Tagger to look with.")
    ] = "packaged",
    sample: Annotated[
        int, typer.Option(min=1, metavar="N", help="Different titles to tag, some 60 a second.")
    ] = 2000,
    limit: Annotated[
        int, typer.Option(min=0, metavar="N", help="Candidates to list, the most frequent first.")
    ] = 100,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default=False, help="Where they are written, for --candidates."
        ),
    ] = None,
    topology: TopologyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find words in titles that the tagger finds and the vocabulary does not know."""
    from kae.encoders.vocabulary.candidates import write_candidates
    from kae.encoders.vocabulary.vocabulary import Vocabulary
    from kae.streams.codebooks.vocabulary import describe_candidates, look_for_candidates

    known = Vocabulary.load(folder)
    loaded = open_topology(topology)
    items = CatalogItems(catalog, loaded.catalog)
    began = time.monotonic()
    with steps() as told:
        passes = Passes(items.read, lambda read: told("reading", read, items.rows))
        looked = look_for_candidates(passes, known, loaded, _tagger_folder(tagger), sample, told)
    if out is not None:
        write_candidates(looked.found[:limit], out)
    report = describe_candidates(looked, known, limit, out, time.monotonic() - began)
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
    """List the words that searches of a replica asked for in vain, the most frequent first."""
    from kae.streams.clock import rfc3339
    from kae.streams.replica_api.client import ReplicaClient

    client = ReplicaClient(replica_address(open_topology(topology), replica))
    found = client.unknown_words(limit)
    if as_json:
        terminal.print_json(found)
        return
    if not found.least_requests:
        terminal.print_warning(
            "replica.unknown_requests is 0 in its topology.yaml: none is counted"
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
    """Print a category a line, and what became of candidates."""
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
        print_taken(report.candidates)
    if report.uncounted:
        terminal.print_warning(
            f"more words than memory is given to: a form may have {report.uncounted:,} items more "
            "than counted, and forms with fewer items may be missing"
        )
    if report.rejected:
        terminal.err.print(f"{report.rejected:,} rows are not items and were left out")


def print_taken(became: "AcceptedCandidates") -> None:
    """Print what became of candidates."""
    terminal.out.print(
        f"candidates: {became.taken:,} taken up, {became.known:,} known without them, "
        f"{became.absent:,} in no title",
        highlight=False,
    )


def print_candidates(report: "CandidatesFound") -> None:
    """Print the candidates, the most frequent first, and where they were written."""
    by_category = ", ".join(f"{name} {n:,}" for name, n in report.categories.items())
    terminal.print_table(
        f"{report.found:,} candidates in {report.titles:,} titles, {report.seconds:.1f} s"
        + (f": {by_category}" if by_category else ""),
        ("category", "word", "titles", "score", "example"),
        ((c.category, c.word, c.titles, c.score, c.example) for c in report.candidates),
    )
    if report.file:
        terminal.out.print(
            f"{report.file}: strike out what is no word, then "
            f"kae vocabulary fit CATALOG... --candidates {report.file} --out DIR",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
