"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

TopologyOption = Annotated[
    Path | None,
    typer.Option(
        "--topology",
        metavar="FILE",
        show_default=False,
        help="The topology; default: $KAE_TOPOLOGY, .kae/local.json, ./topology.yaml, "
        "then the packaged one.",
    ),
]
BootstrapOption = Annotated[
    str | None,
    typer.Option(
        "--bootstrap",
        metavar="HOST:PORT",
        show_default=False,
        help="Brokers, instead of the topology's.",
    ),
]
ReplicaOption = Annotated[
    str | None,
    typer.Option(
        "--replica",
        metavar="URL",
        show_default=False,
        help="The replica to ask; default: the local run in this folder, else replica.listen.",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the result as one line of JSON, the last line.")
]
CandidatesOption = Annotated[
    Path | None,
    typer.Option(
        "--candidates",
        metavar="FILE",
        show_default=False,
        help="Words to add, as written by `kae vocabulary candidates`.",
    ),
]
