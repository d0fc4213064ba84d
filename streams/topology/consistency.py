"""How the parts of a topology fit together: what single values cannot show."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from kae.encoders.categories import CATEGORIES, POSITIONS
from kae.streams.topology.parts import TopologyParts
from kae.streams.topology.problems import TopologyProblem
from kae.streams.topology.yaml_lines import KeyPath, Yaml

# An item's edit carries its title, text and attributes: about three times its event at most.
DELTA_PER_EVENT = 3
Finding = tuple[KeyPath, str, str]  # key, reason, remedy


def check_consistency(
    topology: TopologyParts, document: Yaml, path: Path
) -> Iterator[TopologyProblem]:
    """The problems of a topology whose single values are all right."""
    checks = (_groups, _reserved, _mapped_categories, _security, _timeouts, _sizes)
    for check in checks:
        for key, reason, remedy in check(topology):
            yield TopologyProblem(str(path), document.line_of(key), key, reason, remedy)


def _groups(topology: TopologyParts) -> Iterator[Finding]:
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


def _reserved(topology: TopologyParts) -> Iterator[Finding]:
    for position, group in enumerate(topology.groups):
        # Index 0 is empty, and a position without a slot for a head word holds nothing.
        if group.reserved > group.capacity - 2:
            yield (
                ("groups", position, "reserved"),
                f"is {group.reserved} of {group.capacity} slots",
                f"use at most {group.capacity - 2}, or raise the capacity",
            )


def _mapped_categories(topology: TopologyParts) -> Iterator[Finding]:
    for field, category in topology.catalog.fields.items():
        if category not in CATEGORIES:
            yield ("catalog", "fields", field), *_unknown_category(category)
        allowed = topology.catalog.allowed_fields
        if allowed is not None and field not in allowed:
            yield (
                ("catalog", "fields", field),
                "is mapped, and catalog.allowed_fields leaves it out of the events",
                "add it there, or remove it here",
            )
    if topology.terms.default_category not in CATEGORIES:
        yield ("terms", "default_category"), *_unknown_category(topology.terms.default_category)


def _unknown_category(category: str) -> tuple[str, str]:
    return f"is {category!r}, which is no category", f"choose from {', '.join(CATEGORIES)}"


def _security(topology: TopologyParts) -> Iterator[Finding]:
    """The protocol has the settings that it needs, and no others."""
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


def _timeouts(topology: TopologyParts) -> Iterator[Finding]:
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


def _sizes(topology: TopologyParts) -> Iterator[Finding]:
    limits = topology.limits
    if limits.delta_bytes < DELTA_PER_EVENT * limits.event_bytes:
        yield (
            ("limits", "event_bytes"),
            f"is {limits.event_bytes}: the edit of such an item may outgrow delta_bytes",
            f"use at most {limits.delta_bytes // DELTA_PER_EVENT}, or raise delta_bytes",
        )
