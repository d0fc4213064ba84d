"""What a replica answers about one term, as types: receipts and previews.

`streams/replica/receipts.py` says what the stages mean; docs/formats.md and the console name the
same fields.
"""

import msgspec

from kae.streams.replica_api.answers import Hit, Version, Words


class Stage(msgspec.Struct, frozen=True):
    """One stage, reached by `count` of `of`; `at_ms` is when the last of them reached it.

    `missing` names the shards or replicas that have not.
    """

    stage: str
    done: bool
    count: int
    of: int
    at_ms: int | None
    missing: tuple[str, ...] = ()


class Refusal(msgspec.Struct, frozen=True):
    revision: int
    cause: str


class Receipt(msgspec.Struct, frozen=True):
    """`state` is proposed, scheduled, bound, released, expired or refused.

    `refused` may be of a later attempt; `proposed` is a revision that waits for approval.
    """

    version: Version
    term: str
    state: str
    revision: int
    binding: int | None
    position: int | None
    index: int | None
    attached_items: int
    stages: list[Stage]
    refused: Refusal | None
    proposed: int | None = None
    from_ms: int | None = None
    until_ms: int | None = None
    campaign: str | None = None


class Sampled(msgspec.Struct, frozen=True):
    """An item that the term would lead to, with the words of its own identifier."""

    id: str
    title: str
    identifier: Words


class WordCount(msgspec.Struct, frozen=True):
    """How many of the selected items have a word."""

    word: str
    items: int


class GroupCount(msgspec.Struct, frozen=True):
    """The selected items that have a word at a position, and the most frequent of these words."""

    position: int
    group: str
    items: int
    words: list[WordCount]


class Collision(msgspec.Struct, frozen=True):
    """Something that already has the word or one of its aliases; a warning, not a refusal.

    `kind`: `bound`, the word is bound and this replaces it; `proposed`, a bind of it waits for
    approval; `form`, another term has it as its word or an alias; `codebook`, the codebook has it,
    in this or another spelling; `near`, a term or a word of the codebook is one letter away;
    `meaning`, a word of the codebook may mean much the same, by the `cosine` of their vectors.
    `items` are those of the codebook's word in the catalog that it was built from, or those that
    the term leads to.
    """

    kind: str
    form: str
    other: str
    category: str
    items: int
    cosine: float | None = None

    def summary(self) -> str:
        """The collision in one line."""
        form, other, items = self.form, self.other, f"{self.items:,} items"
        match self.kind:
            case "bound":
                return f"{form!r}: is bound to {items}; this would replace it"
            case "proposed":
                return f"{form!r}: a bind to {items} waits for approval; see kae term proposals"
            case "form":
                return f"{form!r}: already leads to the term {other!r} ({items})"
            case "codebook":
                return f"{form!r}: the codebook has {other!r} ({self.category}, {items})"
            case "meaning":
                return f"{form!r}: may mean much the same as {other!r} ({self.category}, {items})"
        return f"{form!r}: is one letter away from {other!r} ({self.category}, {items})"


class Room(msgspec.Struct, frozen=True):
    """The reserved slots of the term's position: how many are `needed`, and `free` now.

    `released` are slots that the bind gives back; they are free again after their quarantine.
    """

    position: int
    group: str
    needed: int
    free: int
    reserved: int
    released: int


class Size(msgspec.Struct, frozen=True):
    """Bytes of the event and ids in its selector, each with the limit of topology.yaml.

    The bytes of a proposal are those in the bindings log.
    """

    event_bytes: int
    event_bytes_most: int
    selector_items: int
    selector_items_most: int


class SideBySide(msgspec.Struct, frozen=True):
    """What a query finds now, and what it would find with the term."""

    query: str
    now: list[Hit]
    then: list[Hit]


class Plan(msgspec.Struct, frozen=True):
    """What `kae term bind --plan HASH --items-planned N` requires to be still true."""

    hash: str
    items: int
    tolerance_percent: float


class Previewed(msgspec.Struct, frozen=True):
    """What a bind would do to the view that `version` names.

    `items` counts the items that the term would be attached to, `identifiers` the distinct
    identifiers that it would create; `brands` are those of the items, the most frequent first.
    `refused` is why the registrar would refuse it now. `search` is there if a query was given and
    the term would not be refused.
    """

    version: Version
    term: str
    aliases: tuple[str, ...]
    category: str
    items: int
    identifiers: int
    sample: list[Sampled]
    groups: list[GroupCount]
    brands: list[WordCount]
    brands_in_all: int
    collisions: list[Collision]
    room: Room
    size: Size
    plan: Plan
    refused: str | None
    awaits_approval: bool
    from_ms: int | None
    until_ms: int | None
    took_ms: float
    search: SideBySide | None = None
