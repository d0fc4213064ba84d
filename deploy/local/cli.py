"""`kae demo run`: the whole index on this machine."""

import signal
from enum import StrEnum
from typing import Annotated

import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import JsonOption

app = typer.Typer(no_args_is_help=True)


class CodebookChoice(StrEnum):
    light = "light"
    full = "full"


class BrokerChoice(StrEnum):
    embedded = "embedded"
    kafka = "kafka"


@app.callback()
def demo() -> None:
    """Run the whole index on this machine."""


@app.command()
def run(
    term: Annotated[
        str, typer.Option(metavar="WORD", help="The unknown word to bind.")
    ] = "quietcore",
    where: Annotated[
        str, typer.Option(metavar="EXPR", help='The products to bind it to: category = "word", ...')
    ] = 'brand = "hp"',
    broker: Annotated[
        BrokerChoice,
        typer.Option(
            help="embedded: in memory, starts at once; kafka: Apache Kafka, needs Java and Maven."
        ),
    ] = BrokerChoice.embedded,
    codebook: Annotated[
        CodebookChoice,
        typer.Option(help="light: fields and dictionary; full: a tagger reads titles too."),
    ] = CodebookChoice.light,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Products to stream; else all, or 5,000 with a tagger."
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave it running for other shells, until Ctrl-C.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Stream a real catalog, bind a word, kill a worker, and prove that nothing was lost."""
    from kae.deploy.demo_output import DemoOutput
    from kae.deploy.demo_run import plan_demo, run_demo

    # SIGTERM ends a demo as Ctrl-C does: everything is stopped in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    plan = plan_demo(
        term=term,
        where=where,
        broker=broker.value,
        codebook=codebook.value,
        limit=limit,
        keep=keep,
    )
    output = DemoOutput(terminal.err if as_json else terminal.out)
    run_demo(plan, output, lambda facts: terminal.print_json(facts) if as_json else None)
