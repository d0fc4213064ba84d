"""`kae parity check`: compare two generations that read the same items."""

from pathlib import Path
from typing import Annotated

import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import BootstrapOption, JsonOption, TopologyOption
from kae.streams.errors import ParityBroken
from kae.streams.local_run import open_topology

app = typer.Typer(no_args_is_help=True)


@app.callback()
def parity() -> None:
    """Compare generations that read the same items."""


@app.command()
def check(
    against: Annotated[
        int, typer.Option(min=1, metavar="N", show_default=False, help="The other generation.")
    ],
    generation: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="This generation; else the topology's.")
    ] = None,
    against_codebook: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", show_default=False, help="The other's codebook; else the same."
        ),
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long shards may take to catch up.")
    ] = 30.0,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare hashes of id, revision, identifier and terms; exits with 1 if a shard differs."""
    from kae.streams.generations.parity import check_parity

    opened = open_topology(topology, bootstrap)
    ours = opened if generation is None else opened.edited({"generation": generation})
    changes: dict[str, object] = {"generation": against}
    if against_codebook is not None:
        changes["codebook.path"] = str(against_codebook.resolve())
    report = check_parity(ours, opened.edited(changes), wait)
    if as_json:
        terminal.print_json(report)
    else:
        terminal.print_table(
            f"Generations {report.generation} and {report.against}",
            ("shard", "equal", "items", "hash", "against"),
            (
                (one.shard, one.equal, one.items, one.hash, one.against_hash)
                for one in report.shards
            ),
        )
    if not report.equal:
        first = next(one for one in report.shards if not one.equal)
        raise ParityBroken(
            f"shard {first.shard}: {first.hash} at items offset {first.next_offset}, "
            f"{first.against_hash} at {first.against_next_offset}; first difference: "
            f"{first.first_difference}. If the offsets differ, one is behind: try again with a "
            "longer --wait; else compare the two codebooks with `kae codebook diff`"
        )
