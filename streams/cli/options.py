"""Options that several commands share, spelled once."""

from pathlib import Path
from typing import Annotated

import typer

NO_TAGGER, PACKAGED_TAGGER = "none", "packaged"
# Different titles that the tagger looks for candidates in, if it is not said how many.
SAMPLE = 2000

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
TaggerOption = Annotated[
    str,
    typer.Option(
        "--tagger",
        metavar="FOLDER",
        help=f"Tagger for titles: a folder, {PACKAGED_TAGGER!r} for kae's own, or {NO_TAGGER!r}.",
    ),
]
SampleOption = Annotated[
    int,
    typer.Option("--sample", min=1, metavar="N", help="Different titles to tag, some 60 a second."),
]


def tagger_folder(given: str) -> Path | None:
    """The folder that a TaggerOption names."""
    from kae.encoders.tagger.weights import PACKAGED

    named = {NO_TAGGER: None, PACKAGED_TAGGER: PACKAGED}
    return named[given] if given in named else Path(given)
