"""What `kae snapshot` prints, as types."""

import msgspec

from kae.streams.shards.answers import Outcome


class SnapshotAsked(msgspec.Struct, frozen=True):
    """What became of asking for one shard's snapshot; `request` is its offset on the control topic.

    `done` means that it is in the archive; `cause` says why it was refused or did not come about.
    """

    shard: int
    request: int
    outcome: Outcome
    cause: str = ""
    worker: str | None = None
    version: int | None = None
    manifest: str | None = None
    bytes: int | None = None
    sent_bytes: int | None = None


class SnapshotsAsked(msgspec.Struct, frozen=True):
    """What `create --json` prints."""

    snapshots: list[SnapshotAsked]


class SnapshotShown(msgspec.Struct, frozen=True):
    """One snapshot; what a manifest that cannot be read would say is null.

    `broken` names what is wrong with it; `list` looks at manifests alone, `verify` at all bytes.
    """

    shard: int
    version: int
    manifest: str
    broken: list[str]
    offset: int | None = None
    items: int | None = None
    files: int | None = None
    bytes: int | None = None
    taken: str | None = None
    age_seconds: float | None = None
    by: str | None = None


class SnapshotsListed(msgspec.Struct, frozen=True):
    """What `list --json` and `verify --json` print; the newest of a shard come first."""

    generation: int
    url: str
    snapshots: list[SnapshotShown]


class PrunePlanned(msgspec.Struct, frozen=True):
    """What pruning does for one shard.

    `keep` are the newest whole snapshots. The log keeps `log_to` and what follows: the record of
    the second newest of them; null where it is not trimmed, and `log_kept` says why.
    """

    shard: int
    keep: list[str]
    drop: list[str]
    broken: dict[str, list[str]]
    blobs: int
    bytes: int
    log_from: int
    log_to: int | None
    log_kept: str


class Pruned(msgspec.Struct, frozen=True):
    """What `prune --json` prints."""

    dry_run: bool
    shards: list[PrunePlanned]
