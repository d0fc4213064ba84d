"""`kae term history|rollback`, and `kae term list --at`: from the bindings log."""

from typing import TYPE_CHECKING, Annotated

import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import BootstrapOption, JsonOption, TopologyOption
from kae.streams.cli.term_options import ByOption, requester, time_option
from kae.streams.clock import now_ms, rfc3339
from kae.streams.errors import TermRefused
from kae.streams.local_run import open_topology

if TYPE_CHECKING:
    from kae.streams.topology.types import Topology


app = typer.Typer()


@app.command()
def history(
    key: Annotated[
        str, typer.Argument(metavar="KEY", show_default=False, help="A word, or campaign/NAME.")
    ],
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every change of a word or campaign, oldest first."""
    from kae.streams.events.terms import subject_key
    from kae.streams.terms.history import BindingsHistory

    entries = BindingsHistory.read(open_topology(topology, bootstrap)).history(subject_key(key))
    if as_json:
        terminal.print_json(entries)
        return
    terminal.print_table(
        f"History of {key}",
        ("at", "version", "what", "word", "revision", "by", "detail"),
        (
            (rfc3339(h.at_ms), h.version, h.what, h.written, h.revision, h.by, h.detail)
            for h in entries
        ),
    )


def print_terms(topology: "Topology", at_ms: int, as_json: bool) -> None:
    """Print the terms that were in force at a time."""
    from kae.streams.terms.history import BindingsHistory

    then = BindingsHistory.read(topology).in_force(at_ms)
    if as_json:
        terminal.print_json(then)
        return
    terminal.print_table(
        f"Terms at {rfc3339(at_ms)}",
        ("term", "category", "match", "where", "items named", "owner", "reason", "campaign"),
        (
            (t.term, t.category, t.match, t.where, len(t.items), t.owner, t.reason, t.campaign)
            for t in then
        ),
    )


@app.command()
def rollback(
    to: Annotated[str, typer.Option(metavar="TIME", help="The time to go back to.")],
    word: Annotated[str | None, typer.Argument(metavar="[WORD]", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every term.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the events; send none.")] = False,
    by: ByOption = "",
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Restore a word, or every word, to a time, by new events."""
    from kae.encoders.text.normal_form import normalise
    from kae.streams.terms.history import BindingsHistory
    from kae.streams.terms.publish import publish_all

    if (word is None) != everything:
        raise TermRefused("rollback: give one of WORD and --all")
    opened = open_topology(topology, bootstrap)
    now, to_ms = now_ms(), int(time_option("--to", to).timestamp() * 1000)
    if to_ms > now:
        raise TermRefused(f"--to {to!r}: is in the future; give a past time")
    terms = None if word is None else [normalise(word)]
    events = BindingsHistory.read(opened).rollback(to_ms, terms, requester(by), now)
    if events and not dry_run:
        publish_all(opened, events)
    sent = [{"subject": subject, "event": type(data).__name__} for subject, data in events]
    if as_json:
        terminal.print_json({"published": not dry_run, "revision": now, "events": sent})
        return
    terminal.print_table(
        "Would be sent" if dry_run else "Sent",
        ("subject", "event"),
        ((one["subject"], one["event"].removesuffix("Data").lower()) for one in sent),
    )
