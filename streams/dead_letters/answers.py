"""What `kae dead-letters` prints and the console answers."""

import base64
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from kae.streams import clock
from kae.streams.dead_letters.index import DeadLetterEntry, DeadLetterIndex
from kae.streams.dead_letters.replay import ReplayOutcome
from kae.streams.dead_letters.replay_plan import PlannedReplay, ReplayDecision


class DeadLetterShown(msgspec.Struct, frozen=True):
    """A row of `list`; `letter` and `replay_of` are PARTITION/OFFSET of the dead letters topic.

    `replayed_to` is the replayed record's place in the source topic, `died_again` the dead letter
    that it became.
    """

    letter: str
    at: str
    topic: str
    partition: int
    offset: int
    key: str | None
    kind: str
    cause: str
    size_bytes: int
    replays: int
    replay_of: str | None
    replayed_to: str | None
    died_again: str | None


class HeaderShown(msgspec.Struct, frozen=True):
    name: str
    value: str


class DeadLetterOpened(DeadLetterShown, frozen=True, kw_only=True):
    """What `show --json` prints, one a line; the value is in one of the last three, if it has one.

    `event` is JSON, equal but for spaces; `text` is other UTF-8; `base64` is other bytes.
    """

    headers: list[HeaderShown]
    event: msgspec.Raw | None = None
    text: str | None = None
    base64: str | None = None


class KindCount(msgspec.Struct, frozen=True):
    kind: str
    letters: int


class DeadLettersListed(msgspec.Struct, frozen=True):
    """What `list --json` prints: the matching dead letters counted by kind, and the newest."""

    letters_found: int
    kinds: list[KindCount]
    letters: list[DeadLetterShown]


class DeadLetterCounts(msgspec.Struct, frozen=True):
    """Dead letters in the topic; one that was replayed and failed again is a new one."""

    open: int
    replayed: int
    foreign_records: int


class ReplayStep(msgspec.Struct, frozen=True):
    """A dead letter in a replay; `dies_of` is the kind that it would be refused for again."""

    letter: str
    kind: str
    fate: str
    to: str
    repaired: bool
    dies_of: str | None


class ReplayReport(msgspec.Struct, frozen=True):
    """What `replay --json` prints; a dry run sends nothing."""

    dry_run: bool
    sent: int
    found_sent: int  # by an earlier run that was cut short, and recorded now
    busy: int  # claimed by another run that may be active
    replayed_already: int
    refused: int  # beyond limits.replays, or of a topic that is not this topology's
    steps: list[ReplayStep]


def count_dead_letters(index: DeadLetterIndex) -> DeadLetterCounts:
    is_open = [index.is_open(entry) for entry in index.entries.values()]
    return DeadLetterCounts(sum(is_open), len(is_open) - sum(is_open), index.foreign)


def list_dead_letters(
    index: DeadLetterIndex, entries: Sequence[DeadLetterEntry], limit: int
) -> DeadLettersListed:
    """Show the newest first of entries that are given oldest first."""
    kinds = Counter(entry.kind for entry in entries)
    newest = [show_dead_letter(index, entry) for entry in reversed(entries[-limit:])]
    return DeadLettersListed(len(entries), [KindCount(*one) for one in kinds.most_common()], newest)


def show_dead_letter(index: DeadLetterIndex, entry: DeadLetterEntry) -> DeadLetterShown:
    source, done = entry.source, index.progress(entry).done
    failed_again = index.failed_replays.get(entry.address)
    return DeadLetterShown(
        letter=entry.address,
        at=clock.rfc3339(entry.at_ms),
        topic=source.topic,
        partition=source.partition,
        offset=source.offset,
        key=None if source.key is None else source.key.decode(errors="backslashreplace"),
        kind=entry.kind,
        cause=entry.cause,
        size_bytes=entry.size_bytes,
        replays=entry.replays,
        replay_of=entry.replay_of,
        replayed_to=f"{done.topic}/{done.partition}/{done.at_offset}" if done else None,
        died_again=failed_again.address if failed_again else None,
    )


def open_dead_letter(
    index: DeadLetterIndex, entry: DeadLetterEntry, value: bytes | None
) -> DeadLetterOpened:
    headers = [
        HeaderShown(name, (content or b"").decode(errors="backslashreplace"))
        for name, content in entry.source.headers
    ]
    columns = msgspec.structs.asdict(show_dead_letter(index, entry))
    return DeadLetterOpened(**columns, headers=headers, **_content(value))


def _content(value: bytes | None) -> dict[str, Any]:
    """The field that a value is shown in."""
    if value is None:
        return {}
    try:
        msgspec.json.decode(value)
        return {"event": msgspec.Raw(msgspec.json.format(value, indent=-1))}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return {"text": value.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def replay_report(replays: Sequence[PlannedReplay], outcome: ReplayOutcome | None) -> ReplayReport:
    """The report of a replay; without an outcome, of a dry run."""
    decisions = Counter(one.decision for one in replays)
    return ReplayReport(
        dry_run=outcome is None,
        sent=len(outcome.sent) if outcome else 0,
        found_sent=len(outcome.found) if outcome else 0,
        busy=len(outcome.busy) if outcome else 0,
        replayed_already=decisions[ReplayDecision.REPLAYED],
        refused=decisions[ReplayDecision.LIMIT] + decisions[ReplayDecision.FOREIGN],
        steps=list(_steps(replays)),
    )


def _steps(replays: Sequence[PlannedReplay]) -> Iterator[ReplayStep]:
    for one in replays:
        yield ReplayStep(
            letter=one.entry.address,
            kind=one.entry.kind,
            fate=one.decision.value,
            to=f"{one.topic}/{one.partition}",
            repaired=one.repair is not None,
            dies_of=one.refused_as,
        )
