"""Options that several commands share, spelled once."""

from pathlib import Path
from typing import Annotated

import typer

TopologyOption = Annotated[
    Path | None,
    typer.Option(
        "--topology",
        metavar="FILE",
        show_default=False,
        help="topology.yaml to use; else $KAE_TOPOLOGY, .kae/local.json, ./topology.yaml, "
        "the packaged one.",
    ),
]
BootstrapOption = Annotated[
    str | None,
    typer.Option(
        "--bootstrap",
        metavar="HOST:PORT",
        show_default=False,
        help="Brokers to use instead of the topology's.",
    ),
]
ReplicaOption = Annotated[
    str | None,
    typer.Option(
        "--replica",
        metavar="URL",
        show_default=False,
        help="Replica to ask; else the run left going here, or replica.listen.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one line of JSON, last.")]
CandidatesOption = Annotated[
    Path | None,
    typer.Option(
        "--candidates",
        metavar="FILE",
        show_default=False,
        help="Words to take up, as `kae vocabulary candidates` writes them.",
    ),
]
