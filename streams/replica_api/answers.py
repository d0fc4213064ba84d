"""What a replica answers about its index, as types: searches, items, bindings, unknown words.

docs/formats.md and the page name the same fields.

The words of an identifier are ordered by position; null where the position is empty.
"""

import msgspec

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


class SearchAnswer(msgspec.Struct, frozen=True):
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


class UnknownWord(msgspec.Struct, frozen=True):
    """`requests` requests asked for it, or up to `at_most`: rare words lose their counts."""

    word: str
    requests: int
    at_most: int


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
