"""Repairs: events from a file that take the place of those that died."""

from pathlib import Path

import msgspec

from kae.streams.errors import RepairInvalid


class Repair(msgspec.Struct, frozen=True):
    """One line of a file of repairs; other names in it are ignored.

    Without `key` it is the event's subject, as item events must have it.
    """

    letter: str
    event: msgspec.Raw
    key: str | None = None

    @property
    def value(self) -> bytes:
        return bytes(self.event)


class _Subject(msgspec.Struct, frozen=True):
    subject: str


def read_repairs(file: Path, letter: str | None) -> dict[str, Repair]:
    """The repairs of a file by letter: the event for `letter`, else one repair a line.

    Raises: RepairInvalid, which names the line.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise RepairInvalid(f"{file}: cannot be read: {error.strerror}") from error
    if letter is not None:
        return {letter: Repair(letter, msgspec.Raw(content))}
    repairs: dict[str, Repair] = {}
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            repair = msgspec.json.decode(line, type=Repair)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RepairInvalid(
                f"{file}:{number}: {error}; a line is "
                '{"letter": "PARTITION/OFFSET", "event": {...}}; to give the event alone, name '
                "the letter on the command line"
            ) from error
        if repair.letter in repairs:
            raise RepairInvalid(f"{file}:{number}: {repair.letter} is repaired twice; keep one")
        repairs[repair.letter] = repair
    if not repairs:
        raise RepairInvalid(f"{file}: holds no line; give one repair a line")
    return repairs


def key_of(repair: Repair, before: bytes | None) -> bytes | None:
    """The key to send a repaired event with: its own, its subject, or the one it had."""
    if repair.key is not None:
        return repair.key.encode()
    try:
        return msgspec.json.decode(repair.value, type=_Subject).subject.encode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # What the event lacks is said when it is looked at as a whole.
        return before
