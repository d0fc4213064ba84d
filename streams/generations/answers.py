"""What `kae generation` prints."""

from enum import StrEnum

import msgspec


class GenerationStage(StrEnum):
    """What a generation is used for now."""

    SERVING = "serving"  # the cut-over in force names it, or it is the only one
    FOLLOWED = "followed"  # by the replica that was asked, beside the one that serves
    UNFOLLOWED = "unfollowed"
    DROPPED = "dropped"


class GenerationListed(msgspec.Struct, frozen=True):
    """One generation; what only a replica knows is null where none was asked.

    `problem` says why the replica does not follow it; `answering` are the live replicas that answer
    from it.
    """

    generation: int
    state: GenerationStage
    codebook: str
    announced: str | None
    by: str | None
    items: int | None
    behind_events: int | None  # events that the serving generation has read and this one has not
    answering: list[str] | None
    problem: str


class GenerationsListed(msgspec.Struct, frozen=True):
    """What `list --json` prints; `previous` is where `rollback` leads.

    When the brokers could not be asked, `unasked` says why, and the list is what a replica knows.
    """

    serving: int | None
    previous: int | None
    generations: list[GenerationListed]
    unasked: list[str]


class GenerationAnnounced(msgspec.Struct, frozen=True):
    """What `announce --json` prints; `offset` is the record's on the control topic."""

    generation: int
    codebook: str
    path: str
    offset: int


class TermVerified(msgspec.Struct, frozen=True):
    """An active term in the verified generation, compared with the one that serves.

    It is promoted where the codebook has the word itself, else rebound; either way it holds a
    reserved slot, so items that lack the word stay reachable by it (`items` less `own_items`).
    """

    term: str
    promoted: bool
    items: int
    own_items: int | None
    items_before: int


class GenerationVerified(msgspec.Struct, frozen=True):
    """What `verify --json` prints; `problems` says what is incomplete, a sentence each.

    `compared` are the shards that stood at the same source offsets in both generations, so that
    their items could be compared; by hash where both have the same codebook.
    """

    generation: int
    against: int
    complete: bool
    problems: list[str]
    same_codebook: bool
    compared: list[int]
    shards: int
    items: int
    terms: list[TermVerified]


class CutoverMade(msgspec.Struct, frozen=True):
    """What `promote --json` and `rollback --json` print; `seconds` until all replicas switched."""

    generation: int
    previous: int
    offset: int
    items: tuple[int, ...]
    terms: int
    replicas: list[str]
    seconds: float


class FolderSize(msgspec.Struct, frozen=True):
    """A folder with stores or snapshots, and its size."""

    folder: str
    bytes: int


class GenerationDropped(msgspec.Struct, frozen=True):
    """What `drop --json` prints: what is removed, or would be.

    `refused` says why it cannot be; `last_way_back`, that `rollback` would promote it.
    """

    generation: int
    dry_run: bool
    topics: list[str]
    consumer_group: str
    folders: list[FolderSize]
    snapshots: FolderSize | None
    refused: str
    last_way_back: bool
