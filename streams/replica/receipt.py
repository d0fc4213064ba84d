"""What a receipt tells: how far a term has come; `receipts.py` says what the stages mean."""

import msgspec

from kae.streams.replica.answers import Version


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
