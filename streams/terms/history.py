"""The history of terms, from the bindings log: edits, what was in force at a time, rollback."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self

import msgspec
from kafka import TopicPartition
from msgspec.structs import asdict

from kae.encoders.categories import CATEGORIES
from kae.sinks.log.edits import (
    Activate,
    BindSlot,
    Deactivate,
    Delta,
    Edit,
    Propose,
    Refuse,
    Withdraw,
    decode_edit,
)
from kae.sinks.log.fold import LogState
from kae.sinks.log.term_changes import CAMPAIGN_PREFIX, Bind
from kae.sinks.terms.bindings import Bindings
from kae.streams.events.term_data import BindData, CampaignReleaseData, ReleaseData, SelectorData
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.reader import read_deltas
from kae.streams.kafka.topics import check_topics
from kae.streams.topology.types import Topology

# The subject of an event, and its data.
RollbackEvent = tuple[str, BindData | ReleaseData | CampaignReleaseData]
# The fields of a binding that a rollback restores.
_RESTORED = ("aliases", "category", "selector", "owner", "reason", "until_ms")


class TermHistoryEntry(msgspec.Struct, frozen=True):
    """One edit of a term; `version` is that of the bindings log."""

    at_ms: int
    version: int
    what: str
    revision: int | None
    by: str
    detail: str
    written: str = ""  # the word as it was typed


class TermInForce(msgspec.Struct, frozen=True):
    """A term that was in force at a time."""

    term: str
    aliases: tuple[str, ...]
    category: str
    match: str
    items: tuple[str, ...]
    where: str
    plus: tuple[str, ...]
    minus: tuple[str, ...]
    pins: tuple[str, ...]
    owner: str
    reason: str
    until_ms: int | None
    campaign: str
    revision: int


class BindingsHistory:
    """The deltas of the bindings log up to now."""

    def __init__(self, deltas: Sequence[Delta]) -> None:
        self._deltas = deltas

    @classmethod
    def read(cls, topology: Topology) -> Self:
        """Raises: KafkaUnreachable, TopicDiffers, LogTruncated, LogCorrupt."""
        check_topics(topology)
        return cls(list(_read_deltas(topology)))

    @property
    def began_ms(self) -> int | None:
        """When the first delta was written; None without any."""
        return self._deltas[0].at_ms if self._deltas else None

    def history(self, key: str) -> list[TermHistoryEntry]:
        """The edits of a normalised term, or of a campaign by its key, oldest first."""
        entries = []
        terms: dict[int, str] = {}  # binding -> term
        for delta in self._deltas:
            for edit in map(decode_edit, delta.edits):
                known = isinstance(edit, BindSlot) and edit.binding in terms
                if isinstance(edit, BindSlot):
                    terms[edit.binding] = edit.term
                if key in _keys_of(edit, terms):
                    entries.append(_entry(edit, delta, known))
        return entries

    def bindings(self, at_ms: int) -> Bindings:
        """The fold of the deltas written until a time."""
        bindings = Bindings()
        for delta in self._deltas:
            if delta.at_ms > at_ms:
                break
            bindings.apply(delta, LogState(version=delta.version))
        return bindings

    def in_force(self, at_ms: int) -> list[TermInForce]:
        """The terms that readers could see at a time, by name."""
        return [_in_force(bound) for _, bound in sorted(self._visible(at_ms).items())]

    def rollback(
        self, to_ms: int, terms: Iterable[str] | None, by: str, now: int
    ) -> list[RollbackEvent]:
        """The events that put terms, or with None every term, back as they were at a time."""
        was = {
            term: old
            for term, old in self._visible(to_ms).items()
            if not old.until_ms or old.until_ms > now
        }
        bound = {one.term: one for one in self.bindings(now).bound.values()}
        wanted = sorted(was.keys() | bound.keys()) if terms is None else list(terms)
        added = {term for term in wanted if term in bound and term not in was}
        binds = [
            (was[term].written or term, _bind(was[term], now, by))
            for term in wanted
            if term in was and _differs(was[term], bound.get(term), now)
        ]
        return [*_releases(added, bound, now, by), *binds]

    def _visible(self, at_ms: int) -> dict[str, BindSlot]:
        bindings = self.bindings(at_ms)
        return {one.term: one for one in bindings.visible(at_ms, bindings.version).values()}


def _releases(
    added: set[str], bound: Mapping[str, BindSlot], revision: int, by: str
) -> Iterator[RollbackEvent]:
    """A campaign all of whose terms go is released as one."""
    campaigns: dict[str, set[str]] = {}
    for one in bound.values():
        if one.campaign:
            campaigns.setdefault(one.campaign, set()).add(one.term)
    for key, members in campaigns.items():
        if members <= added:
            added = added - members
            yield key.removeprefix(CAMPAIGN_PREFIX), CampaignReleaseData(revision, by)
    for term in sorted(added):
        yield term, ReleaseData(revision, by)


def _differs(old: BindSlot, bound: BindSlot | None, now: int) -> bool:
    """Whether a term is not in force now as it was then."""
    if bound is None or bound.from_ms > now:
        return True
    return any(getattr(old, name) != getattr(bound, name) for name in _RESTORED)


def _bind(old: BindSlot, revision: int, by: str) -> BindData:
    selector: dict[str, Any] = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(old.selector).items()
    }
    return BindData(
        revision=revision,
        selector=SelectorData(**selector),
        aliases=list(old.aliases),
        category=CATEGORIES[old.category],
        owner=old.owner,
        reason=old.reason,
        until=datetime.fromtimestamp(old.until_ms / 1000, UTC) if old.until_ms else None,
        by=by,
        replace=True,
    )


def _in_force(bound: BindSlot) -> TermInForce:
    fields = asdict(bound) | asdict(bound.selector)
    fields |= {"category": CATEGORIES[bound.category], "until_ms": bound.until_ms or None}
    return TermInForce(**{name: fields[name] for name in TermInForce.__struct_fields__})


def _keys_of(edit: Edit, bound: dict[int, str]) -> tuple[str, ...]:
    match edit:
        case BindSlot():
            return (edit.term, edit.campaign)
        case Activate():
            return (bound.get(edit.binding, ""),)
        case Deactivate() | Refuse():
            return (edit.term,)
        case Propose() | Withdraw():
            return (edit.key,)
    return ()


def _entry(edit: Edit, delta: Delta, known: bool) -> TermHistoryEntry:
    def entry(
        what: str,
        revision: int | None = None,
        by: str = "",
        detail: str = "",
        written: str = "",
    ) -> TermHistoryEntry:
        return TermHistoryEntry(delta.at_ms, delta.version, what, revision, by, detail, written)

    match edit:
        case BindSlot():
            approved = f"approved by {edit.approved_by}" if edit.approved_by else ""
            return entry(
                "changed" if known else "bound", edit.revision, edit.by, approved, edit.written
            )
        case Deactivate():
            return entry(edit.cause or "released", edit.revision, edit.by)
        case Refuse():
            return entry("refused", edit.revision, detail=edit.cause)
        case Propose():
            written = edit.change.written if isinstance(edit.change, Bind) else ""
            return entry("proposed", edit.revision, edit.change.by, written=written)
        case Withdraw():
            return entry("rejected", edit.revision, edit.by, edit.reason)
    return entry("activated")


def _read_deltas(topology: Topology) -> Iterator[Delta]:
    partition = TopicPartition(topology.bindings_topic, 0)
    with KafkaClients.for_reading(topology, "terms") as clients:
        for _, delta in read_deltas(clients, partition, LogState()):
            yield delta
