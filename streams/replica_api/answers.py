"""What a replica answers over HTTP, as types; docs/formats.md and the page name the same fields.

The words of an identifier are ordered by position; null where the position is empty.
"""

import msgspec


class Freshness(msgspec.Struct, frozen=True):
    """How fresh a view is, and what keeps it from being fresher."""

    ready: bool
    age_seconds: float | None  # since it was complete; None: it never was
    within_seconds: float
    behind_records: int
    reasons: list[str]


class UnknownWord(msgspec.Struct, frozen=True):
    """Asked for by `requests` to `at_most` requests: counts of rare words are dropped."""

    word: str
    requests: int
    at_most: int


Words = tuple[str | None, ...]


class Version(msgspec.Struct, frozen=True):
    """The one view that an answer is from."""

    generation: int
    view: int
    bindings: int
    shards: tuple[int, ...]


class Problem(msgspec.Struct, frozen=True):
    """Any answer with a status of 400 or more."""

    error: str


# /search


class SlotShown(msgspec.Struct, frozen=True):
    position: int
    index: int
    word: str
    weight: float


class QueryShown(msgspec.Struct, frozen=True):
    """How a query was understood; `slots` are those with the highest weights, the highest first.

    `unknown` are the words that neither the codebook nor a term has.
    """

    text: str
    words: list[str]
    terms: list[str]
    slots: list[SlotShown]
    unknown: list[str] = []


class Hit(msgspec.Struct, frozen=True):
    """An item with the path that led to it.

    `identifier` are the item's own words and `path` those of the path; they differ where `via`
    names a term. `covers` are the positions at which the path has one of the query's slots. `score`
    is how much of the query the path covers and `own_words` how much of it the item's own words
    cover, by weight and from 0 to 1. Items that are `pinned` in one of the query's terms come
    first; the others are ranked by own_words + score / 5.
    """

    id: str
    title: str
    identifier: Words
    path: Words
    covers: list[int]
    via: str | None
    score: float
    own_words: float
    popularity: float
    pinned: bool = False


class Found(msgspec.Struct, frozen=True):
    version: Version
    query: QueryShown
    items: list[Hit]
    took_ms: float
    decoded_ms: float  # the part of it until every identifier was decoded


# /items/{id}


class AttributeShown(msgspec.Struct, frozen=True):
    category: str
    word: str
    text: str
    source: str
    score: float
    slot: tuple[int, int] | None


class PathShown(msgspec.Struct, frozen=True):
    """A path that leads to the item; `term` and `attached` are null for its own path.

    `attached` is also null if that was before the snapshot that the replica started from.
    """

    slots: tuple[int, ...]
    words: Words
    term: str | None
    binding: int | None
    attached: "LogPosition | None"


class LogPosition(msgspec.Struct, frozen=True):
    """A delta: its version in the shard's log, and its offset in Kafka."""

    version: int
    offset: int


class ItemShown(msgspec.Struct, frozen=True):
    """`put` is the delta that put it; null if that was before the replica's snapshot."""

    version: Version
    id: str
    title: str
    text: str
    shard: int
    ordinal: int
    revision: int
    popularity: float
    put: LogPosition | None
    slots: tuple[int, ...]
    identifier: Words
    groups: list[str]
    attributes: list[AttributeShown]
    paths: list[PathShown]


# /unknown-words


class UnknownWordsShown(msgspec.Struct, frozen=True):
    """The unknown words of one generation's queries, counted in this process since `since_ms`.

    A word is listed if at least `least_requests` requests asked for it; with 0 none is counted.
    `requests` counts all requests.
    """

    generation: int
    since_ms: int
    requests: int
    least_requests: int
    words: list[UnknownWord]


# /bindings


class BindingShown(msgspec.Struct, frozen=True):
    binding: int
    term: str
    aliases: tuple[str, ...]
    category: str
    position: int
    index: int
    match: str
    items: int  # ids that the selector names
    where: str
    revision: int
    owner: str
    reason: str
    accepted_ms: int
    bound_ms: int
    attached_items: int
    decodable: bool
    state: str = "active"
    from_ms: int | None = None
    until_ms: int | None = None
    by: str = ""
    approved_by: str = ""
    campaign: str | None = None
    plus: int = 0  # single items that are added to those of the selector
    minus: int = 0  # single items that are left out
    pins: tuple[str, ...] = ()  # items that come first


class ProposalShown(msgspec.Struct, frozen=True):
    """A change that waits for approval; `key` is the term, or campaign/NAME."""

    key: str
    kind: str
    revision: int
    by: str
    terms: list[str]
    plan_hash: str
    plan_items: int


class QuarantineShown(msgspec.Struct, frozen=True):
    binding: int
    position: int
    index: int
    since_ms: int


class CapacityShown(msgspec.Struct, frozen=True):
    position: int
    group: str
    reserved: int
    bound: int
    quarantined: int
    free: int


class BindingsShown(msgspec.Struct, frozen=True):
    """`active` are all bindings; the state of each says whether it is in force."""

    version: Version
    active: list[BindingShown]
    quarantined: list[QuarantineShown]
    capacity: list[CapacityShown]
    proposals: list[ProposalShown] = []


# /status


class CountsShown(msgspec.Struct, frozen=True):
    """What became of the source records: read = put + dropped + stale + dead."""

    read: int
    put: int
    dropped: int
    stale: int
    dead: int


class ShardShown(msgspec.Struct, frozen=True):
    """`offset` is that of the last accepted delta; `source_next_offset` is in the items topic.

    A shard that is `paused` reads no items.
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


class BindingsLogShown(msgspec.Struct, frozen=True):
    """`source_next_offset` is in the terms topic."""

    version: int
    offset: int
    source_next_offset: int
    counts: CountsShown
    active: int
    quarantined: int


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


class TermStanding(msgspec.Struct, frozen=True):
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
    terms: list[TermStanding]


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
