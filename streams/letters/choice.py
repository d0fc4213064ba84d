"""Which letters a command is about."""

from collections.abc import Sequence
from dataclasses import dataclass

from kae.streams.letters import kinds
from kae.streams.letters.letterbox import Letter, Letterbox


@dataclass(frozen=True, slots=True)
class Choice:
    """What every chosen letter has; a filter that is empty lets all pass."""

    kind: str = ""  # this one, or any under it
    cause: str = ""  # a part of it, in any case
    topic: str = ""  # of the source
    since_ms: int = 0

    def has(self, letter: Letter) -> bool:
        return (
            (not self.kind or kinds.within(letter.kind, self.kind))
            and self.cause.lower() in letter.cause.lower()
            and (not self.topic or letter.source.topic == self.topic)
            and letter.at_ms >= self.since_ms
        )


def choose(box: Letterbox, choice: Choice, addresses: Sequence[str] = ()) -> list[Letter]:
    """The letters that are chosen, oldest first; those at `addresses` alone, if any are named.

    Raises: LetterUnknown.
    """
    named = {letter.identity: letter for letter in map(box.at, addresses)}
    found = named if addresses else box.letters
    chosen = [letter for letter in found.values() if choice.has(letter)]
    return sorted(chosen, key=lambda letter: (letter.at_ms, letter.partition, letter.offset))
