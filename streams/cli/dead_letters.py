"""`kae dead-letters list|show|replay`: what could not be indexed, and sending it again."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import BootstrapOption, JsonOption, TopologyOption
from kae.streams.errors import ReplayRefused
from kae.streams.local_run import open_topology

if TYPE_CHECKING:
    from kae.streams.dead_letters.answers import LetterOpened, LetterShown, ReplayReport
    from kae.streams.dead_letters.index import DeadLetterFilter, DeadLetterIndex
    from kae.streams.dead_letters.replay_plan import PlannedReplay
    from kae.streams.topology.types import Topology


app = typer.Typer(no_args_is_help=True)
KindOption = Annotated[
    str, typer.Option(metavar="KIND", help="Of this kind of cause, or any under it: data.title.")
]
CauseOption = Annotated[str, typer.Option(metavar="TEXT", help="With this in the cause.")]
TopicOption = Annotated[
    Literal["items", "terms"] | None, typer.Option(help="From this topic alone.")
]
SinceOption = Annotated[
    str, typer.Option(metavar="TIME", help="Not older: 2026-01-31T09:30 (UTC), or 30m, 2h, 7d ago.")
]
LettersArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[PARTITION/OFFSET]...", show_default=False)
]


@app.command("list")
def list_letters(
    cause: CauseOption = "",
    kind: KindOption = "",
    topic: TopicOption = None,
    since: SinceOption = "",
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Rows, the newest ones.")] = 50,
    with_replayed: Annotated[
        bool, typer.Option("--all", help="Those too that were sent again.")
    ] = False,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the dead letters that are open, with their causes, and count them by kind."""
    from kae.streams.dead_letters import answers
    from kae.streams.dead_letters.index import choose

    loaded = open_topology(topology, bootstrap)
    with _letterbox(loaded) as box:
        chosen = choose(box, _choice(loaded, kind, cause, topic, since))
        if not with_replayed:
            chosen = [letter for letter in chosen if box.is_open(letter)]
        found = answers.list_letters(box, chosen, limit)
        counted = answers.count(box)
    if as_json:
        terminal.print_json(found)
        return
    columns = ["letter", "time", "source, key", "kind, cause", "bytes", "replays"]
    terminal.print_table(
        f"{counted.open:,} dead letters open, {counted.replayed:,} replayed",
        [*columns, "replayed to"] if with_replayed else columns,
        (_row(one)[: None if with_replayed else len(columns)] for one in found.letters),
    )
    terminal.print_table(
        f"{found.letters_found:,} by kind, {len(found.letters):,} shown",
        ("kind", "letters"),
        ((one.kind, one.letters) for one in found.kinds),
    )


@app.command()
def show(
    letters: LettersArgument = None,
    raw: Annotated[bool, typer.Option("--raw", help="Write the bytes alone, as they are.")] = False,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show letters whole: cause, headers and bytes; with --json a line each, as --with takes it."""
    from kae.streams.dead_letters import answers

    if not letters or (raw and len(letters) > 1):
        raise typer.BadParameter(f"name {'one letter' if raw else 'letters'} as PARTITION/OFFSET")
    with _letterbox(open_topology(topology, bootstrap)) as box:
        named = [box.at(address) for address in letters]
        values = box.values(named)
        found = [answers.open_letter(box, letter, values[letter.identity]) for letter in named]
    if raw:
        sys.stdout.buffer.write(values[named[0].identity] or b"")
        return
    for one in found:
        if as_json:
            terminal.print_json(one)
        else:
            _print_letter(one)


@app.command()
def replay(
    letters: LettersArgument = None,
    cause: CauseOption = "",
    kind: KindOption = "",
    topic: TopicOption = None,
    since: SinceOption = "",
    every: Annotated[bool, typer.Option("--all", help="Every letter that is open.")] = False,
    repaired: Annotated[
        Path | None,
        typer.Option(
            "--with",
            metavar="FILE",
            help="The event that replaces the one letter named, or a line for each letter: "
            '{"letter": "PARTITION/OFFSET", "event": {...}}.',
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Those too that died limits.replays times again.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen; send nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send letters to their topic again, as they were or repaired; each once, however often run."""
    from kae.streams.dead_letters.answers import report
    from kae.streams.dead_letters.index import choose
    from kae.streams.dead_letters.replay import replay as send
    from kae.streams.dead_letters.replay_plan import plan, read_repairs

    loaded = open_topology(topology, bootstrap)
    named = list(letters or ())
    repairs = {}
    if repaired is not None:
        repairs = read_repairs(repaired, named[0] if len(named) == 1 else None)
        named = named or list(repairs)
    if not (named or kind or cause or topic or since or every):
        raise typer.BadParameter("name letters as PARTITION/OFFSET, or give a filter, or --all")
    with _letterbox(loaded) as box:
        chosen = choose(box, _choice(loaded, kind, cause, topic, since), named)
        if not named:
            chosen = [letter for letter in chosen if box.is_open(letter)]
        planned = plan(box, chosen, {box.at(a).address: r for a, r in repairs.items()}, force)
        outcome = None
        if not as_json:
            _print_plan(planned)
        if not dry_run:
            _ask(planned, yes)
            outcome = send(box, planned)
    _conclude(report(planned, outcome), as_json)


@contextmanager
def _letterbox(topology: "Topology") -> Iterator["DeadLetterIndex"]:
    from kae.streams.dead_letters.index import open_index

    with open_index(topology) as box:
        yield box


def _choice(
    topology: "Topology", kind: str, cause: str, topic: str | None, since: str
) -> "DeadLetterFilter":
    from kae.streams.clock import parse_time_ms
    from kae.streams.dead_letters.index import DeadLetterFilter

    topics = {"items": topology.items_topic, "terms": topology.terms_topic}
    try:
        at_ms = parse_time_ms(since, time.time_ns() // 1_000_000) if since else 0
    except ValueError as error:
        raise typer.BadParameter(
            f"--since {since!r}: {error}; give 2026-01-31T09:30, or 30m, 2h or 7d ago as 7d"
        ) from error
    return DeadLetterFilter(kind, cause, topics[topic] if topic else "", at_ms)


def _ask(planned: "list[PlannedReplay]", yes: bool) -> None:
    from kae.streams.dead_letters.replay_plan import Fate

    count = sum(one.fate is Fate.SEND for one in planned)
    if yes or not count:
        return
    if not sys.stdin.isatty():
        raise ReplayRefused(
            f"{count} letters would be sent; nothing was: nobody can be asked here; give --yes"
        )
    typer.confirm(f"Send {count:,} letters?", abort=True, err=True)


def _print_plan(planned: "list[PlannedReplay]") -> None:
    rows = Counter(
        (
            one.fate.value,
            one.letter.kind,
            one.topic,
            one.repair is not None,
            one.dies_of or "",
        )
        for one in planned
    )
    terminal.print_table(
        f"{len(planned):,} letters",
        ("what happens", "kind", "to topic", "repaired", "dies again here of", "letters"),
        ((*row, letters) for row, letters in rows.most_common()),
    )


def _conclude(report: "ReplayReport", as_json: bool) -> None:
    if as_json:
        terminal.print_json(report)
    elif report.dry_run:
        terminal.out.print("dry run: nothing was sent")
    else:
        terminal.out.print(
            f"{report.sent:,} sent, {report.found_sent:,} found sent by an earlier run, "
            f"{report.replayed_already:,} replayed already"
        )
    if report.refused or report.busy:
        raise ReplayRefused(
            f"{report.refused} letters are refused (beyond limits.replays, or of another topic; "
            f"--force lifts the limit), {report.busy} are claimed by another run that may still be "
            "at work (run the same command again in a minute)"
        )


def _row(one: "LetterShown") -> tuple[object, ...]:
    """Two lines a letter, so that a table fits a terminal."""
    return (
        one.letter,
        one.at.partition(".")[0].replace("T", "\n"),
        f"{one.topic}/{one.partition}/{one.offset}\n{'-' if one.key is None else one.key}",
        f"{one.kind}\n{one.cause}",
        one.size_bytes,
        one.replays,
        one.replayed_to,
    )


def _print_letter(one: "LetterOpened") -> None:
    facts = msgspec.structs.asdict(one)
    headers, event = facts.pop("headers"), facts.pop("event")
    rows = [(name, value) for name, value in facts.items() if value is not None]
    rows += [(f"header {header.name}", header.value) for header in headers]
    terminal.print_table(f"Dead letter {one.letter}", ("what", "value"), rows)
    if event is not None:
        terminal.out.print_json(bytes(event).decode())
