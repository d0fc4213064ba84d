"""Which letters a command is about."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kae.streams.letters import kinds
from kae.streams.letters.letterbox import Letter, Letterbox

_AGO = re.compile(r"(\d+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


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


def since_ms(text: str, now_ms: int) -> int:
    """The time of `2026-01-31T09:30`, UTC unless it says otherwise, or of `30m`, `2h`, `7d` ago.

    Raises: ValueError.
    """
    if ago := _AGO.fullmatch(text):
        return now_ms - int(ago[1]) * _SECONDS[ago[2]] * 1000
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
