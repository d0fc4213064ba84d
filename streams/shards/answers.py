"""What `kae shard` prints, as types."""

from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    """What became of a request."""

    DONE = "done"
    REFUSED = "refused"
    OPEN = "open"  # no answer yet


class PauseShown(msgspec.Struct, frozen=True):
    """A pause in force."""

    by: str
    since: str
    reason: str


class ShardAnswered(msgspec.Struct, frozen=True):
    """What became of a request; `request` is its offset on the control topic."""

    shard: int
    request: int
    outcome: Outcome
    cause: str
    worker: str | None
    version: int | None


class CommandShown(msgspec.Struct, frozen=True):
    """A request, and what became of it."""

    command: str
    by: str
    at: str
    reason: str
    answer: ShardAnswered


class ShardStanding(msgspec.Struct, frozen=True):
    """One shard as `list` shows it; `owner` is who said last that it holds the shard."""

    shard: int
    owner: str | None
    epoch: int
    version: int
    next_offset: int
    lag_events: int
    paused: bool
    pause: PauseShown | None
    last: CommandShown | None


class ShardsListed(msgspec.Struct, frozen=True):
    """What `list --json` prints."""

    generation: int
    shards: list[ShardStanding]


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """What a command would do to one shard; `refused` says why it would not."""

    shard: int
    owner: str
    refused: str = ""


class ResetPlanned(Planned, frozen=True, kw_only=True):
    """`to_at` is the time of the first event that would be read again."""

    version: int
    from_offset: int
    to_offset: int
    events_again: int
    to_at: str | None
    to_age_seconds: float | None


class RefoldPlanned(Planned, frozen=True, kw_only=True):
    """`log_bytes` are those on one broker's disk, if it tells."""

    version: int
    log_records: int
    log_bytes: int | None


class ShardReport(msgspec.Struct, frozen=True):
    """What the other commands print with --json; a dry run has no answers."""

    command: str
    dry_run: bool
    planned: list[Planned]
    answers: list[ShardAnswered]
