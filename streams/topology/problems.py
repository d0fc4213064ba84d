"""Problems of a topology file: file, line, key, value and remedy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kae.streams.errors import InvalidInput
from kae.streams.topology.yaml_lines import KeyPath, Yaml, dotted


@dataclass(frozen=True, slots=True)
class TopologyProblem:
    """One thing that is wrong with a topology file."""

    file: str
    line: int  # from 1; 0 when the file cannot be read
    key: KeyPath
    reason: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        key = f"{dotted(self.key)} " if self.key else ""
        return f"{place}: {key}{self.reason}; {self.remedy}"


class TopologyInvalid(InvalidInput, ValueError):
    """A topology file that cannot be run; the message has one line for each problem."""

    def __init__(self, problems: tuple[TopologyProblem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def from_pydantic(
    error: ValidationError, document: Yaml, path: Path, reference: Callable[[], Mapping[str, Any]]
) -> tuple[TopologyProblem, ...]:
    """The problems that pydantic found, in the order of the file.

    `reference` loads the reference topology, whose values serve as examples.
    """
    found = [_finding(detail, document, path, reference()) for detail in error.errors()]
    return tuple(sorted(found, key=lambda problem: problem.line))


def _finding(
    detail: ErrorDetails, document: Yaml, path: Path, reference: Mapping[str, Any]
) -> TopologyProblem:
    key = tuple(part for part in detail["loc"] if part != "[key]")
    line = document.line_of(key)
    example = _value_at(reference, key)
    match detail["type"]:
        case "missing":
            reason = "is missing"
            remedy = f"add it, in the reference topology.yaml it is {_spell(example)}"
        case "extra_forbidden":
            siblings = _value_at(reference, key[:-1])
            reason = "is not a key that kae knows"
            remedy = _known_keys(str(key[-1]), siblings if isinstance(siblings, Mapping) else {})
        case _:
            value = "not usable" if _may_be_secret(key) else _spell(detail["input"])
            reason = f"is {value}: {_lower(detail['msg'])}"
            remedy = f"correct it, in the reference topology.yaml it is {_spell(example)}"
    return TopologyProblem(str(path), line, key, reason, remedy)


def _may_be_secret(key: KeyPath) -> bool:
    """Whether the value may be a password by mistake; such a value is never printed."""
    if key == ("snapshots", "url"):
        return True
    return key[:2] == ("kafka", "security") and key[2:] != ("protocol",)


def _known_keys(key: str, siblings: Mapping[str, Any]) -> str:
    close = get_close_matches(key, list(siblings), n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"remove it, or choose from {', '.join(siblings)}" if siblings else "remove it"


def _value_at(reference: object, key: KeyPath) -> object:
    for part in key:
        if isinstance(reference, list) and isinstance(part, int) and reference:
            reference = reference[min(part, len(reference) - 1)]
        elif isinstance(reference, Mapping):
            reference = reference.get(part)
        else:
            return None
    return reference


def _spell(value: object) -> str:
    if isinstance(value, Mapping):
        return "a mapping of " + ", ".join(str(key) for key in value)
    spelled = repr(value)
    return spelled if len(spelled) <= 80 else spelled[:77] + "..."


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
