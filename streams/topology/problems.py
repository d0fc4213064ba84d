"""What can be wrong with a topology, said with file, line, key, value and remedy."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kae.encoders.categories import CATEGORIES, POSITIONS
from kae.streams.errors import KaeError
from kae.streams.topology.yaml_lines import KeyPath, Yaml, dotted

if TYPE_CHECKING:
    from kae.streams.topology.types import Topology


# An item's edit carries its title, its text and its attributes: at most about three events' worth.
DELTA_PER_EVENT = 3


@dataclass(frozen=True, slots=True)
class TopologyProblem:
    """One thing that is wrong with a topology file."""

    file: str
    line: int  # from 1; 0 when the file has no lines to show
    key: KeyPath
    reason: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        key = f"{dotted(self.key)} " if self.key else ""
        return f"{place}: {key}{self.reason}; {self.remedy}"


class TopologyInvalid(KaeError, ValueError):
    """The topology file says something that cannot be run; its text has one line a problem."""

    def __init__(self, problems: tuple[TopologyProblem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def from_pydantic(
    error: ValidationError, document: Yaml, path: Path, reference: Callable[[], Mapping[str, Any]]
) -> tuple[TopologyProblem, ...]:
    """Turn pydantic's findings into problems, in the order of the file."""
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
    """Whether somebody may have put a password there: what is no source of one is never told."""
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


def cross_check(topology: "Topology", document: Yaml, path: Path) -> Iterator[TopologyProblem]:
    """Yield what single values cannot show: how parts of the topology fit together."""
    checks = (_groups, _reserved, _mapped_categories, _security, _pace, _sizes)
    for check in checks:
        for key, reason, remedy in check(topology):
            yield TopologyProblem(str(path), document.line_of(key), key, reason, remedy)


Finding = tuple[KeyPath, str, str]


def _groups(topology: "Topology") -> Iterator[Finding]:
    groups = topology.groups
    if len(groups) != POSITIONS:
        yield ("groups",), f"are {len(groups)}", f"declare {POSITIONS}, one for each position"
    for name, uses in Counter(group.name for group in groups).items():
        if uses > 1:
            yield ("groups",), f"use the name {name!r} {uses} times", "give each its own name"
    homes = Counter(category for group in groups for category in group.categories)
    for position, group in enumerate(groups):
        for index, category in enumerate(group.categories):
            key = ("groups", position, "categories", index)
            if category not in CATEGORIES:
                yield key, *_unknown_category(category)
            elif homes[category] > 1:
                reason = f"is {category!r}, which is listed {homes[category]} times"
                yield key, reason, "list each category once"
    for category in CATEGORIES:
        if category not in homes:
            yield ("groups",), f"leave out the category {category!r}", "list it in one of them"


def _reserved(topology: "Topology") -> Iterator[Finding]:
    for position, group in enumerate(topology.groups):
        # Index 0 is empty, and a position without a slot for a head word holds nothing.
        if group.reserved > group.capacity - 2:
            yield (
                ("groups", position, "reserved"),
                f"is {group.reserved} of {group.capacity} slots",
                f"use at most {group.capacity - 2}, or raise the capacity",
            )


def _mapped_categories(topology: "Topology") -> Iterator[Finding]:
    for field, category in topology.catalog.fields.items():
        if category not in CATEGORIES:
            yield ("catalog", "fields", field), *_unknown_category(category)
        allowed = topology.catalog.allowed_fields
        if allowed is not None and field not in allowed:
            yield (
                ("catalog", "fields", field),
                "gives words, and catalog.allowed_fields does not let it travel",
                "add it there, or take it out here",
            )
    if topology.terms.default_category not in CATEGORIES:
        yield ("terms", "default_category"), *_unknown_category(topology.terms.default_category)


def _unknown_category(category: str) -> tuple[str, str]:
    return f"is {category!r}, which is no category", f"choose from {', '.join(CATEGORIES)}"


def _security(topology: "Topology") -> Iterator[Finding]:
    """What the protocol needs is there, and nothing beside it."""
    security = topology.kafka.security
    for name in ("mechanism", "username", "password"):
        value = getattr(security, name)
        if security.has_sasl and value is None:
            yield ("kafka", "security", name), "is missing", f"{security.protocol} needs it"
        elif value is not None and not security.has_sasl:
            yield _unused(security.protocol, name, value)
    for name in ("ca_file", "cert_file", "key_file"):
        value = getattr(security, name)
        if value is not None and not security.has_tls:
            yield _unused(security.protocol, name, value)
    if (security.cert_file is None) != (security.key_file is None):
        name = "cert_file" if security.cert_file is None else "key_file"
        yield ("kafka", "security", name), "is missing beside the other", "give both, or neither"


def _unused(protocol: str, name: str, value: str) -> Finding:
    reason = f"is {value!r}, which {protocol} does not use"
    return ("kafka", "security", name), reason, "make it null, or choose another protocol"


def _pace(topology: "Topology") -> Iterator[Finding]:
    worker, kafka = topology.worker, topology.kafka
    if worker.session_timeout_seconds < 3 * worker.heartbeat_seconds:
        yield (
            ("worker", "session_timeout_seconds"),
            f"is {worker.session_timeout_seconds:g}, less than three heartbeats",
            f"use at least {3 * worker.heartbeat_seconds:g}, or shorten heartbeat_seconds",
        )
    if kafka.delivery_timeout_seconds < kafka.request_timeout_seconds:
        yield (
            ("kafka", "delivery_timeout_seconds"),
            f"is {kafka.delivery_timeout_seconds:g}, shorter than one request",
            f"use at least {kafka.request_timeout_seconds:g}, or shorten request_timeout_seconds",
        )


def _sizes(topology: "Topology") -> Iterator[Finding]:
    limits = topology.limits
    if limits.delta_bytes < DELTA_PER_EVENT * limits.event_bytes:
        yield (
            ("limits", "event_bytes"),
            f"is {limits.event_bytes}: the edit of such an item may outgrow delta_bytes",
            f"use at most {limits.delta_bytes // DELTA_PER_EVENT}, or raise delta_bytes",
        )
