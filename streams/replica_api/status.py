"""What a replica answers about its state, as types: /readyz, /status and /generations."""

import msgspec

from kae.streams.replica_api.answers import Version


class Freshness(msgspec.Struct, frozen=True):
    """How fresh a view is, and what keeps it from being fresher."""

    ready: bool
    age_seconds: float | None  # since it was complete; None: it never was
    within_seconds: float
    behind_records: int
    reasons: list[str]


# /status


class CountsShown(msgspec.Struct, frozen=True):
    """What became of the source records: read = put + dropped + stale + dead + lost."""

    read: int
    put: int
    dropped: int
    stale: int
    dead: int
    lost: int = 0

    @property
    def balanced(self) -> bool:
        return self.read == self.put + self.dropped + self.stale + self.dead + self.lost


class ShardShown(msgspec.Struct, frozen=True):
    """`offset` is that of the last accepted delta; `source_next_offset` is in the items topic.

    A shard that is `paused` reads no items, and neither does one that has `stopped`, which says
    why. `topic` is the id of the items topic that it has read.
    """

    shard: int
    version: int
    offset: int
    epoch: int
    bindings_version: int
    source_next_offset: int
    counts: CountsShown
    live: int
    hash: str | None
    paused: bool = False
    stopped: str = ""
    topic: str = ""


class BindingsLogShown(msgspec.Struct, frozen=True):
    """`source_next_offset` is in the terms topic, whose id is `topic`."""

    version: int
    offset: int
    source_next_offset: int
    counts: CountsShown
    active: int
    quarantined: int
    topic: str = ""


class ReplicaShown(msgspec.Struct, frozen=True):
    """A replica's lease; `behind` counts the deltas of the view that it has not applied.

    `serving` says whether it answers from this generation.
    """

    replica: str
    live: bool
    bindings_version: int
    shards: tuple[int, ...]
    at_ms: int
    behind: int
    serving: bool = True


class Status(msgspec.Struct, frozen=True):
    version: Version
    replica: str
    codebook: str
    items: int
    paths: int
    view_swapped_ms: int
    view_built_ms: float
    ignored_records: int
    freshness: Freshness
    shards: list[ShardShown]
    bindings: BindingsLogShown
    replicas: list[ReplicaShown]


# /generations


class GenerationTerm(msgspec.Struct, frozen=True):
    """A bound term in one generation.

    `promoted` says that the codebook has the word itself. `own_items` is how many of the term's
    items have the word in their own identifiers; it is counted only if hashes are asked for.
    """

    term: str
    revision: int
    attached_items: int
    decodable: bool
    promoted: bool
    own_items: int | None


class GenerationShown(msgspec.Struct, frozen=True):
    """A generation that this replica follows."""

    generation: int
    status: Status
    terms: list[GenerationTerm]


class CutoverShown(msgspec.Struct, frozen=True):
    """The cut-over in force, its record's offset, and source offsets (`items` by shard)."""

    offset: int
    generation: int
    previous: int
    items: tuple[int, ...]
    terms: int
    by: str
    reason: str
    at_ms: int


class GenerationsShown(msgspec.Struct, frozen=True):
    """`serving` is the generation that this replica answers from, `wanted` the one of the cut-over.

    `problems` has, by number, why other generations are not followed.
    """

    replica: str
    serving: int
    wanted: int
    cutover: CutoverShown | None
    generations: list[GenerationShown]
    problems: dict[int, str]
