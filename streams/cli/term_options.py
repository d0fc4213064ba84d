"""The options of the commands about terms and campaigns, and what they do alike."""

from enum import StrEnum
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from kae.streams.cli import terminal
from kae.streams.clock import now_ms, parse_time_ms
from kae.streams.errors import TermRefused
from kae.streams.local_run import replica_address

if TYPE_CHECKING:
    from datetime import datetime

    from kae.streams.events.term_data import PlanData, SelectorData, TermData
    from kae.streams.replica_api.terms import Receipt
    from kae.streams.topology.types import Topology


class WaitFor(StrEnum):
    """How far a command waits for a term."""

    ACTIVE = "active"
    EVERYWHERE = "everywhere"


WordArgument = Annotated[str, typer.Argument(metavar="WORD", show_default=False)]
MatchOption = Annotated[
    str, typer.Option(metavar="TEXT", help="Items whose title or description has this phrase.")
]
ItemsOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Items named in a file, one id a line.")
]
WhereOption = Annotated[
    str, typer.Option(metavar="EXPR", help="""Items by their words: 'brand = "X"'.""")
]
CategoryOption = Annotated[
    str,
    typer.Option(
        metavar="C", help="Category, which decides the position; else the tagger chooses."
    ),
]
AliasOption = Annotated[list[str] | None, typer.Option(metavar="A", help="Another form.")]
OwnerOption = Annotated[str, typer.Option(metavar="NAME", help="Who is responsible for it.")]
ReasonOption = Annotated[str, typer.Option(metavar="TEXT", help="Why it is bound.")]
RevisionOption = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="Revision of the event; else the time in ms."),
]
ByOption = Annotated[
    str, typer.Option("--by", metavar="NAME", help="Who asks for it; else the name of the user.")
]
FromOption = Annotated[
    str, typer.Option("--from", metavar="TIME", help="When it begins; else at once.")
]
UntilOption = Annotated[
    str,
    typer.Option("--until", metavar="TIME", help="When it ends; else by terms.default_days."),
]
ForeverOption = Annotated[bool, typer.Option("--forever", help="It never ends.")]
ReplaceOption = Annotated[
    bool,
    typer.Option(
        "--replace",
        help="Also take the place of a word that is bound under another spelling, such as S10+.",
    ),
]
PlanOption = Annotated[
    str,
    typer.Option(
        "--plan", metavar="HASH", help="Only if it does what the preview with this plan shows."
    ),
]
PlanItemsOption = Annotated[
    int | None,
    typer.Option("--items-planned", min=0, metavar="N", help="Items that this preview counts."),
]
WaitOption = Annotated[WaitFor, typer.Option("--wait", help="What to wait for.")]
NoWaitOption = Annotated[bool, typer.Option("--no-wait", help="Return once the event is stored.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0.1)]


def revision_of(given: int | None) -> int:
    """The revision of an event that is sent now."""
    return now_ms() if given is None else given


def requester(given: str) -> str:
    """The name for `by`: as given, else the user of this process."""
    return given or getuser()


def plan_of(plan: str, items: int | None) -> "PlanData":
    """The plan of a preview, if one is given.

    Raises: TermRefused.
    """
    from kae.streams.events.term_data import PlanData

    if bool(plan) != (items is not None):
        raise TermRefused(
            "--plan and --items-planned: give both, as kae term preview prints them, or neither"
        )
    return PlanData(plan, items or 0)


def time_option(option: str, text: str) -> "datetime":
    """Raises: TermRefused."""
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(parse_time_ms(text, now_ms()) / 1000, UTC)
    except ValueError as error:
        raise TermRefused(
            f"{option} {text!r}: is no time ({error}); write 2026-07-01T08:00+02:00"
        ) from error


def validity(
    from_: str, until: str, forever: bool
) -> "tuple[datetime | None, datetime | msgspec.UnsetType | None]":
    """From and until, as an event has them.

    Raises: TermRefused.
    """
    if until and forever:
        raise TermRefused("--until and --forever: give one of them")
    end = None if forever else time_option("--until", until) if until else msgspec.UNSET
    return (time_option("--from", from_) if from_ else None), end


def publish_and_wait(
    topology: "Topology",
    word: str,
    data: "TermData",
    *,
    replica: str | None,
    wait: WaitFor | None,
    timeout: float,
    as_json: bool,
) -> "Receipt | None":
    """Publish an event of a term, wait until it has come as far as asked, and print the receipt.

    Raises: TermRefused, TermTimedOut, KafkaUnreachable, ReplicaUnreachable, TopicDiffers.
    """
    from kae.encoders.text.normal_form import normalise
    from kae.streams.kafka.topics import check_topics
    from kae.streams.replica_api.client import ReplicaClient
    from kae.streams.terms.publish import publish, wait_for_term

    check_topics(topology)
    client = ReplicaClient(replica_address(topology, replica))
    if wait:
        # Fails before anything is published if the replica does not answer.
        client.receipt(normalise(word))
    publish(topology, word, data)
    if wait:
        receipt = wait_for_term(client, word, data.revision, timeout, until=wait)
        print_receipt(receipt, as_json)
        return receipt
    if as_json:
        terminal.print_json({"term": word, "revision": data.revision, "published": True})
    return None


def print_receipt(receipt: "Receipt", as_json: bool) -> None:
    if as_json:
        terminal.print_json(receipt)
        return
    began = receipt.stages[0].at_ms or 0 if receipt.stages else 0
    terminal.print_table(
        f"{receipt.term}: {receipt.state}, {receipt.attached_items:,} items",
        ("stage", "reached", "by", "after ms"),
        (
            (
                stage.stage,
                stage.done,
                f"{stage.count}/{stage.of}",
                None if stage.at_ms is None else stage.at_ms - began,
            )
            for stage in receipt.stages
        ),
    )


def selector_of(word: str, match: str, items: Path | None, where: str) -> "SelectorData":
    """The selector of the options, refused if the worker would refuse it.

    Raises: TermRefused; SelectorInvalid.
    """
    from kae.encoders.selector import Selector, compile_selector
    from kae.streams.events.term_data import SelectorData

    ids = ids_of(items)
    if not (match or ids or where):
        raise TermRefused(f"{word!r}: no selector; give --match, --items or --where")
    compile_selector(Selector(match, tuple(ids), where))
    return SelectorData(match, ids, where)


def ids_of(file: Path | None) -> list[str]:
    """Raises: TermRefused."""
    if file is None:
        return []
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TermRefused(f"{file}: cannot be read: {error}; give one item id a line") from error
    ids = [line.strip() for line in text.splitlines() if line.strip()]
    if not ids:
        raise TermRefused(f"{file}: names no item; give one item id a line")
    return ids
