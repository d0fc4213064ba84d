"""`kae bench`: measure the live path."""

from typing import Annotated

import typer

from kae.streams import console
from kae.streams.cli.options import JsonOption

app = typer.Typer(no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure the live path."""


@app.command()
def live(
    items: Annotated[
        int, typer.Option(min=10_000, metavar="N", help="Item events a run.")
    ] = 60_000,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Processes a side.")] = 1,
    repeats: Annotated[int, typer.Option(min=1, metavar="N", help="Live runs; medians count.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """The whole live path beside an empty Faust agent, and its core beside a fixed floor."""
    from kae.bench.core import measure_core
    from kae.bench.live import measure_live
    from kae.bench.report import LiveReport

    core = measure_core()
    measured = measure_live(items, workers, repeats)
    report = LiveReport.of(measured, core)
    if as_json:
        console.print_json(report)
        return
    console.print_table(
        f"Live path: {items:,} items, {workers} worker(s), median of {repeats}",
        ("what", "a second", "ratio"),
        (
            ("bare Faust agent, events", report.bare_faust_events_per_second, None),
            ("kae worker, events", report.events_per_second, report.ratio_to_bare_faust),
            ("floor, items", report.floor_items_per_second, None),
            ("core, items", report.core_items_per_second, report.core_ratio_to_floor),
        ),
    )
