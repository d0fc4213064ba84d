"""Marks: what is remembered of a letter's replays, in the dead letters topic itself.

A mark lies in the partition of its letter, after it, so that retention takes the letter first. Who
wants to send letters again claims them, and sends those whose claim counts; a claim that no
`Replayed` follows was cut short, and is taken over by a claim that names it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

HEADER = ("kae-mark", b"1")


class Claimed(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A run is about to send a letter again.

    It counts if the letter is not replayed and `after` is the run whose claim counts so far, or "".
    What the run sends lies in `topic`/`partition`, at `from_offset` or later.
    """

    source_ms: int
    offset: int  # the letter's
    run: str
    after: str
    topic: str
    partition: int
    from_offset: int


class Replayed(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A letter was sent again, and lies at this place."""

    source_ms: int
    offset: int  # the letter's
    run: str
    topic: str
    partition: int
    at_offset: int


Mark = Claimed | Replayed

_decoder: msgspec.msgpack.Decoder[Mark] = msgspec.msgpack.Decoder(Mark)
encode = msgspec.msgpack.Encoder().encode


def is_mark(headers: Sequence[tuple[str, bytes | None]]) -> bool:
    """A letter's first header is another, whatever its source's are."""
    return bool(headers) and headers[0][0] == HEADER[0]


def decode(value: bytes | None) -> Mark:
    """Raises: msgspec.DecodeError."""
    return _decoder.decode(value or b"")


@dataclass(slots=True)
class Replay:
    """The fold of one letter's marks."""

    claim: Claimed | None = None
    claimed_ms: int = 0  # when the broker was given the claim
    done: Replayed | None = None

    def apply(self, mark: Mark, at_ms: int) -> None:
        """Fold one mark in the order of the partition."""
        match mark:
            case Replayed():
                self.done = self.done or mark
            case Claimed() if self.done is None and mark.after == self.run:
                self.claim, self.claimed_ms = mark, at_ms
            case _:
                # Another claim was first; whoever wrote this one reads so, and sends nothing.
                pass

    @property
    def run(self) -> str:
        """Whose claim counts."""
        return self.claim.run if self.claim else ""
