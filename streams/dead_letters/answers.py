"""What `kae dead-letters` prints, as types."""

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from kae.streams import clock
from kae.streams.dead_letters.index import DeadLetterEntry, DeadLetterIndex
from kae.streams.dead_letters.replay import ReplayOutcome
from kae.streams.dead_letters.replay_plan import Fate, PlannedReplay


class LetterShown(msgspec.Struct, frozen=True):
    """A row of `list`; `letter` and `replay_of` are PARTITION/OFFSET of the dead letters topic.

    `replayed_to` is where in the source topic it was sent again, `died_again` the letter of that.
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


class LetterOpened(LetterShown, frozen=True, kw_only=True):
    """What `show --json` prints, a line each; of the last three, one is the value, if it has one.

    `event` is JSON as it was, spaces aside; `text` other UTF-8; `base64` other bytes.
    """

    headers: list[HeaderShown]
    event: msgspec.Raw | None = None
    text: str | None = None
    base64: str | None = None


class KindCounted(msgspec.Struct, frozen=True):
    kind: str
    letters: int


class LettersListed(msgspec.Struct, frozen=True):
    """What `list --json` prints: all that the filters let pass by kind, and the newest of them."""

    letters_found: int
    kinds: list[KindCounted]
    letters: list[LetterShown]


class LettersCounted(msgspec.Struct, frozen=True):
    """Dead letters in the topic; those that were replayed and died again lie there anew."""

    open: int
    replayed: int
    foreign_records: int


class ReplayStep(msgspec.Struct, frozen=True):
    """A letter of a replay; `dies_of` is what this installation would refuse it for again."""

    letter: str
    kind: str
    fate: str
    to: str
    repaired: bool
    dies_of: str | None


class ReplayReport(msgspec.Struct, frozen=True):
    """What `replay --json` prints; a dry run has sent nothing."""

    dry_run: bool
    sent: int
    found_sent: int  # by an earlier run that was cut short, and marked now
    busy: int  # claimed by another run that may still be at work
    replayed_already: int
    refused: int  # beyond limits.replays, or of a topic that is not this topology's
    steps: list[ReplayStep]


def count(box: DeadLetterIndex) -> LettersCounted:
    is_open = [box.is_open(letter) for letter in box.letters.values()]
    return LettersCounted(sum(is_open), len(is_open) - sum(is_open), box.foreign)


def list_letters(
    box: DeadLetterIndex, letters: Sequence[DeadLetterEntry], limit: int
) -> LettersListed:
    """Letters come oldest first and are shown newest first."""
    kinds = Counter(letter.kind for letter in letters)
    newest = [show_letter(box, letter) for letter in reversed(letters[-limit:])]
    return LettersListed(len(letters), [KindCounted(*one) for one in kinds.most_common()], newest)


def show_letter(box: DeadLetterIndex, letter: DeadLetterEntry) -> LetterShown:
    source, done = letter.source, box.replay(letter).done
    death = box.deaths.get(letter.address)
    return LetterShown(
        letter=letter.address,
        at=clock.rfc3339(letter.at_ms),
        topic=source.topic,
        partition=source.partition,
        offset=source.offset,
        key=None if source.key is None else source.key.decode(errors="backslashreplace"),
        kind=letter.kind,
        cause=letter.cause,
        size_bytes=letter.size_bytes,
        replays=letter.replays,
        replay_of=letter.replay_of,
        replayed_to=f"{done.topic}/{done.partition}/{done.at_offset}" if done else None,
        died_again=death.address if death else None,
    )


def open_letter(box: DeadLetterIndex, letter: DeadLetterEntry, value: bytes | None) -> LetterOpened:
    headers = [
        HeaderShown(name, (content or b"").decode(errors="backslashreplace"))
        for name, content in letter.source.headers
    ]
    columns = msgspec.structs.asdict(show_letter(box, letter))
    return LetterOpened(**columns, headers=headers, **_content(value))


def report(planned: Sequence[PlannedReplay], outcome: ReplayOutcome | None) -> ReplayReport:
    """The report of a replay; without an outcome, of a dry run."""
    fates = Counter(one.fate for one in planned)
    return ReplayReport(
        dry_run=outcome is None,
        sent=len(outcome.sent) if outcome else 0,
        found_sent=len(outcome.found) if outcome else 0,
        busy=len(outcome.busy) if outcome else 0,
        replayed_already=fates[Fate.REPLAYED],
        refused=fates[Fate.LIMIT] + fates[Fate.FOREIGN],
        steps=list(_steps(planned)),
    )


def _steps(planned: Iterable[PlannedReplay]) -> Iterable[ReplayStep]:
    for one in planned:
        repaired, place = one.repair is not None, f"{one.topic}/{one.partition}"
        yield ReplayStep(
            one.letter.address, one.letter.kind, one.fate.value, place, repaired, one.dies_of
        )


def _content(value: bytes | None) -> dict[str, Any]:
    if value is None:
        return {}
    try:
        msgspec.json.decode(value)
        return {"event": msgspec.Raw(msgspec.json.format(value, indent=-1))}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _bytes(value)


def _bytes(value: bytes) -> dict[str, Any]:
    try:
        return {"text": value.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
