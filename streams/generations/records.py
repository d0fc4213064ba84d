"""What the control topic says of generations; docs/formats.md has the fields."""

import msgspec


class Announced(msgspec.Struct, frozen=True, array_like=True, tag=16):
    """A generation is there to be followed; `topology` is what of topology.yaml makes it, JSON."""

    generation: int
    fingerprint: str
    topology: bytes
    by: str
    at_ms: int


class Cutover(msgspec.Struct, frozen=True, array_like=True, tag=17):
    """The generation that is to serve instead of `previous`.

    `items` (by shard) and `terms` are source offsets: a replica answers from the generation once
    its view of it covers them.
    """

    generation: int
    previous: int
    items: tuple[int, ...]
    terms: int
    by: str
    reason: str
    at_ms: int


class Dropped(msgspec.Struct, frozen=True, array_like=True, tag=18):
    """A generation is over: its topics and stores go, and its number is never used again."""

    generation: int
    by: str
    reason: str
    at_ms: int


GenerationRecord = Announced | Cutover | Dropped
