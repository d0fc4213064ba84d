"""The fold of the control topic that says which generations there are, and which one serves."""

from dataclasses import dataclass, field

from kae.streams.generations.records import Announced, Cutover, Dropped


@dataclass(frozen=True, slots=True)
class Made:
    """The cut-over that counts, at its offset."""

    offset: int
    cutover: Cutover


@dataclass(slots=True)
class GenerationBook:
    """Written by one thread; values are replaced, so readers need no lock.

    `own` is the generation of the topology at hand: where nothing is announced, it is the only one.
    """

    own: int
    announced: dict[int, Announced] = field(default_factory=dict)
    dropped: frozenset[int] = frozenset()
    made: Made | None = None
    next_offset: int = 0

    @property
    def serving(self) -> int:
        """The one that the newest cut-over names; before there is any, the oldest."""
        return self.made.cutover.generation if self.made else min(self.followed)

    @property
    def followed(self) -> tuple[int, ...]:
        """The generations that replicas follow."""
        return tuple(sorted(({self.own} | self.announced.keys()) - self.dropped)) or (self.own,)

    def enter(self, offset: int, record: object) -> bool:
        """Take one record of the control topic in, once; whether it changed anything."""
        if offset < self.next_offset:
            return False
        self.next_offset = offset + 1
        match record:
            case Announced():
                return self._announce(record)
            case Cutover():
                return self._cut_over(offset, record)
            case Dropped():
                return self._drop(record)
        return False

    def _announce(self, record: Announced) -> bool:
        """A later one may say where the codebook lies now, never that it is another."""
        known = self.announced.get(record.generation, record)
        if record.generation in self.dropped or known.fingerprint != record.fingerprint:
            return False
        self.announced = {**self.announced, record.generation: record}
        return True

    def _cut_over(self, offset: int, record: Cutover) -> bool:
        """Only from the generation that serves, so that of two at the same moment one counts."""
        if self.made and record.previous != self.made.cutover.generation:
            return False
        if not self._is_open(record.generation):
            return False
        self.made = Made(offset, record)
        return True

    def _is_open(self, generation: int) -> bool:
        return generation in self.announced and generation not in self.dropped

    def _drop(self, record: Dropped) -> bool:
        """Never the one that a cut-over made serve: the two may meet."""
        serves = self.made is not None and self.made.cutover.generation == record.generation
        if record.generation in self.dropped or serves:
            return False
        self.dropped = self.dropped | {record.generation}
        return True
