"""A line: one generation as a replica follows it, and all that an answer from it needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from kae.encoders.codebook import Codebook
from kae.streams.generations.book import GenerationBook
from kae.streams.moments import now_ms
from kae.streams.replica.freshness import FreshnessGauge
from kae.streams.replica.index import ReplicaIndex
from kae.streams.replica.leases import Leases
from kae.streams.replica.preview import Previews
from kae.streams.replica.search import Search
from kae.streams.replica.unknown import UnknownWords
from kae.streams.replica.view import View


@dataclass(frozen=True, slots=True)
class Line:
    """What belongs together: a codebook reads only the views of its own generation."""

    generation: int
    codebook: Codebook
    index: ReplicaIndex
    leases: Leases
    gauge: FreshnessGauge
    search: Search
    previews: Previews
    unknown: UnknownWords

    def view(self) -> View:
        """What may be read now: a term that has ended is in none."""
        return self.index.view.at(now_ms())


class Serving:
    """The lines that are followed, and the one that answers: one reference.

    Who answers takes `line` once, so no answer mixes generations.
    """

    def __init__(self, line: Line, book: GenerationBook) -> None:
        self.line = line
        self.book = book
        self.lines: Mapping[int, Line] = MappingProxyType({line.generation: line})
        # Generation -> why it is not followed, though it should be.
        self.problems: Mapping[int, str] = MappingProxyType({})

    def add(self, line: Line) -> None:
        self.lines = MappingProxyType({**self.lines, line.generation: line})

    def remove(self, generation: int, problem: str = "") -> None:
        """Follow a generation no more; it is not the one that answers."""
        lines = {number: line for number, line in self.lines.items() if number != generation}
        self.lines = MappingProxyType(lines)
        problems = {n: told for n, told in self.problems.items() if n != generation}
        self.problems = MappingProxyType({**problems, generation: problem} if problem else problems)

    def switch(self, generation: int) -> None:
        """Answer from this generation from now on."""
        self.line = self.lines[generation]
