"""Behaviour files as commands are given them."""

from collections.abc import Sequence
from pathlib import Path

from kae.encoders.retriever.samples import Behaviour
from kae.streams.cli import terminal
from kae.streams.retrieval.behaviour import read_choices


def read_chosen(files: Sequence[Path]) -> tuple[Behaviour, ...]:
    """The records in which something was chosen; says on stderr how many were passed over.

    Raises: CatalogInvalid, SamplesInvalid.
    """
    read = read_choices(files)
    for cause, records in sorted(read.passed_over.items()):
        terminal.err.print(f"behaviour: {records:,} records passed over: {cause}", highlight=False)
    return read.chosen
