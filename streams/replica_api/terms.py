"""What a receipt tells: how far a term has come; `receipts.py` says what the stages mean.

What a preview answers, as types; docs/formats.md and the console name the same fields.
"""

import msgspec

from kae.streams.replica_api.answers import Hit, Version, Words


class Stage(msgspec.Struct, frozen=True):
    """One stage: `count` of `of` have reached it; once all have, `at_ms` says when.

    `missing` names the shards or the replicas that have not.
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

    `refused` may also tell of a later attempt, `proposed` of a revision that waits for approval.
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
    """An item that the term would lead to, with the words of its own identifier by position."""

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
    """Something that has the word, or an alias of it, already: to be looked at, not refused.

    `kind`: `bound`, the word is bound and this takes its place; `proposed`, one of it waits for
    approval; `form`, another term answers to it; `codebook`, the codebook has it, in this or
    another spelling; `near`, one letter away, of a term or of the codebook; `meaning`, a word of
    the codebook may mean much the same, with the `cosine` of their vectors. `items` are those of
    the codebook's word in the catalog that it was built from, or those that the term leads to.
    """

    kind: str
    form: str
    other: str
    category: str
    items: int
    cosine: float | None = None

    def told(self) -> str:
        """It in one line."""
        form, other, items = self.form, self.other, f"{self.items:,} items"
        match self.kind:
            case "bound":
                return f"{form!r}: is bound to {items}; this would take its place"
            case "proposed":
                return f"{form!r}: one with {items} waits for approval; see kae term proposals"
            case "form":
                return f"{form!r}: leads to the term {other!r} ({items}) already"
            case "codebook":
                return f"{form!r}: the codebook has {other!r} ({self.category}, {items})"
            case "meaning":
                return f"{form!r}: may mean much the same as {other!r} ({self.category}, {items})"
        return f"{form!r}: is one letter away from {other!r} ({self.category}, {items})"


class Room(msgspec.Struct, frozen=True):
    """The reserved slots of the term's position: `needed` of those that are `free` now.

    `released` are slots that it gives back, free again after their quarantine.
    """

    position: int
    group: str
    needed: int
    free: int
    reserved: int
    released: int


class Size(msgspec.Struct, frozen=True):
    """Bytes of the event and ids in its selector, with the most that topology.yaml allows.

    Of a proposal: its bytes in the bindings log.
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
    """What `kae term bind --plan HASH --items-planned N` holds the world to."""

    hash: str
    items: int
    tolerance_percent: float


class Previewed(msgspec.Struct, frozen=True):
    """What a bind would do to the view that `version` names.

    `items` are the items that it would be attached to, `identifiers` the distinct identifiers that
    it would create, `brands` those of the items, the most frequent first. `refused` is the cause
    for which the registrar would refuse it now. `search` is there where a query was asked for and
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
