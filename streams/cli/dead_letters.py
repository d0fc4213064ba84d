"""`kae dead-letters list|show|replay`: events that could not be indexed, and their replay."""

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
    from kae.streams.dead_letters.answers import DeadLetterOpened, DeadLetterShown, ReplayReport
    from kae.streams.dead_letters.index import DeadLetterFilter, DeadLetterIndex
    from kae.streams.dead_letters.replay_plan import PlannedReplay
    from kae.streams.topology.types import Topology


app = typer.Typer(no_args_is_help=True)
KindOption = Annotated[
    str,
    typer.Option(metavar="KIND", help="With this kind of cause, or any below it: data.title."),
]
CauseOption = Annotated[str, typer.Option(metavar="TEXT", help="With this text in the cause.")]
TopicOption = Annotated[
    Literal["items", "terms", "behaviours"] | None, typer.Option(help="From this topic only.")
]
SinceOption = Annotated[
    str, typer.Option(metavar="TIME", help="Not older than 2026-01-31T09:30 (UTC), or 30m, 2h, 7d.")
]
AddressesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[PARTITION/OFFSET]...", show_default=False)
]


@app.command("list")
def list_open(
    cause: CauseOption = "",
    kind: KindOption = "",
    topic: TopicOption = None,
    since: SinceOption = "",
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Rows to show, the newest.")] = 50,
    with_replayed: Annotated[
        bool, typer.Option("--all", help="Also those that were replayed.")
    ] = False,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the open dead letters with their causes, and count them by kind."""
    from kae.streams.dead_letters import answers
    from kae.streams.dead_letters.index import choose_dead_letters

    loaded = open_topology(topology, bootstrap)
    with _open_index(loaded) as index:
        chosen = choose_dead_letters(index, _filter(loaded, kind, cause, topic, since))
        if not with_replayed:
            chosen = [entry for entry in chosen if index.is_open(entry)]
        listed = answers.list_dead_letters(index, chosen, limit)
        counts = answers.count_dead_letters(index)
    if as_json:
        terminal.print_json(listed)
        return
    columns = ["dead letter", "time", "source, key", "kind, cause", "bytes", "replays"]
    terminal.print_table(
        f"{counts.open:,} dead letters open, {counts.replayed:,} replayed",
        [*columns, "replayed to"] if with_replayed else columns,
        (_row(one)[: None if with_replayed else len(columns)] for one in listed.letters),
    )
    terminal.print_table(
        f"{listed.letters_found:,} by kind, {len(listed.letters):,} shown",
        ("kind", "dead letters"),
        ((one.kind, one.letters) for one in listed.kinds),
    )


@app.command()
def show(
    addresses: AddressesArgument = None,
    raw: Annotated[bool, typer.Option("--raw", help="Write only the bytes, unchanged.")] = False,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show dead letters: cause, headers and bytes; with --json one a line, as --with reads them."""
    from kae.streams.dead_letters import answers

    if not addresses or (raw and len(addresses) > 1):
        raise typer.BadParameter(f"name {'one' if raw else 'dead letters'} as PARTITION/OFFSET")
    with _open_index(open_topology(topology, bootstrap)) as index:
        named = [index.at(address) for address in addresses]
        values = index.values(named)
        shown = [answers.open_dead_letter(index, entry, values[entry.identity]) for entry in named]
    if raw:
        sys.stdout.buffer.write(values[named[0].identity] or b"")
        return
    for one in shown:
        if as_json:
            terminal.print_json(one)
        else:
            _print_dead_letter(one)


@app.command()
def replay(
    addresses: AddressesArgument = None,
    cause: CauseOption = "",
    kind: KindOption = "",
    topic: TopicOption = None,
    since: SinceOption = "",
    every: Annotated[bool, typer.Option("--all", help="Every open dead letter.")] = False,
    repaired: Annotated[
        Path | None,
        typer.Option(
            "--with",
            metavar="FILE",
            help="A repaired event for the one dead letter named, or a line for each dead letter: "
            '{"letter": "PARTITION/OFFSET", "event": {...}}.',
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also those that were replayed limits.replays times.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent; send nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send dead letters to their topic again, unchanged or repaired; each is sent only once."""
    from kae.streams.dead_letters.answers import replay_report
    from kae.streams.dead_letters.index import choose_dead_letters
    from kae.streams.dead_letters.replay import replay_dead_letters
    from kae.streams.dead_letters.replay_plan import plan_replay, read_repairs

    loaded = open_topology(topology, bootstrap)
    named = list(addresses or ())
    repairs = {}
    if repaired is not None:
        repairs = read_repairs(repaired, named[0] if len(named) == 1 else None)
        named = named or list(repairs)
    if not (named or kind or cause or topic or since or every):
        raise typer.BadParameter("name dead letters as PARTITION/OFFSET, give a filter, or --all")
    with _open_index(loaded) as index:
        chosen = choose_dead_letters(index, _filter(loaded, kind, cause, topic, since), named)
        if not named:
            chosen = [entry for entry in chosen if index.is_open(entry)]
        replays = plan_replay(
            index, chosen, {index.at(a).address: r for a, r in repairs.items()}, force
        )
        outcome = None
        if not as_json:
            _print_plan(replays)
        if not dry_run:
            _ask(replays, yes)
            outcome = replay_dead_letters(index, replays)
    _conclude(replay_report(replays, outcome), as_json)


@contextmanager
def _open_index(topology: "Topology") -> Iterator["DeadLetterIndex"]:
    from kae.streams.dead_letters.index import open_index

    with open_index(topology) as index:
        yield index


def _filter(
    topology: "Topology", kind: str, cause: str, topic: str | None, since: str
) -> "DeadLetterFilter":
    from kae.streams.clock import parse_time_ms
    from kae.streams.dead_letters.index import DeadLetterFilter

    topics = {
        "items": topology.items_topic,
        "terms": topology.terms_topic,
        "behaviours": topology.behaviours_topic,
    }
    try:
        at_ms = parse_time_ms(since, time.time_ns() // 1_000_000) if since else 0
    except ValueError as error:
        raise typer.BadParameter(
            f"--since {since!r}: {error}; give 2026-01-31T09:30, or 30m, 2h or 7d ago as 7d"
        ) from error
    return DeadLetterFilter(kind, cause, topics[topic] if topic else "", at_ms)


def _ask(replays: "list[PlannedReplay]", yes: bool) -> None:
    from kae.streams.dead_letters.replay_plan import ReplayDecision

    count = sum(one.decision is ReplayDecision.SEND for one in replays)
    if yes or not count:
        return
    if not sys.stdin.isatty():
        raise ReplayRefused(
            f"{count} dead letters would be sent; nothing was sent: nobody can be asked here; "
            "give --yes"
        )
    typer.confirm(f"Send {count:,} dead letters?", abort=True, err=True)


def _print_plan(replays: "list[PlannedReplay]") -> None:
    rows = Counter(
        (
            one.decision.value,
            one.entry.kind,
            one.topic,
            one.repair is not None,
            one.refused_as or "",
        )
        for one in replays
    )
    terminal.print_table(
        f"{len(replays):,} dead letters",
        ("what happens", "kind", "to topic", "repaired", "refused again as", "dead letters"),
        ((*row, count) for row, count in rows.most_common()),
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
            f"{report.refused} dead letters are refused (beyond limits.replays, or of another "
            f"topic; --force lifts the limit), {report.busy} are claimed by another run that "
            "may be active (run the same command again in a minute)"
        )


def _row(one: "DeadLetterShown") -> tuple[object, ...]:
    """Two lines a dead letter, so that the table fits a terminal."""
    return (
        one.letter,
        one.at.partition(".")[0].replace("T", "\n"),
        f"{one.topic}/{one.partition}/{one.offset}\n{'-' if one.key is None else one.key}",
        f"{one.kind}\n{one.cause}",
        one.size_bytes,
        one.replays,
        one.replayed_to,
    )


def _print_dead_letter(one: "DeadLetterOpened") -> None:
    facts = msgspec.structs.asdict(one)
    headers, event = facts.pop("headers"), facts.pop("event")
    rows = [(name, value) for name, value in facts.items() if value is not None]
    rows += [(f"header {header.name}", header.value) for header in headers]
    terminal.print_table(f"Dead letter {one.letter}", ("what", "value"), rows)
    if event is not None:
        terminal.out.print_json(bytes(event).decode())
