"""What became of terms, from the bindings log: their history, and what was in force at a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Self

import msgspec
from kafka import TopicPartition

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
from kae.sinks.log.term_changes import CAMPAIGN_PREFIX
from kae.sinks.terms.bindings import Bindings
from kae.streams.events.term_data import BindData, CampaignReleaseData, ReleaseData, SelectorData
from kae.streams.kafka.reader import clients_for, deltas_from
from kae.streams.kafka.topics import check_topics
from kae.streams.topology.types import Topology

RollbackEvent = tuple[str, BindData | ReleaseData | CampaignReleaseData]


class TermHistoryEntry(msgspec.Struct, frozen=True):
    """One edit of a term; `version` is that of the bindings log."""

    at_ms: int
    version: int
    what: str
    revision: int | None
    by: str
    detail: str


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
        """When the first delta was written; None when there is none."""
        return self._deltas[0].at_ms if self._deltas else None

    def history(self, key: str) -> list[TermHistoryEntry]:
        """All that happened to a normalised term, or to a campaign by its key, oldest first."""
        happened = []
        terms: dict[int, str] = {}  # binding -> term
        for delta in self._deltas:
            for edit in map(decode_edit, delta.edits):
                known = isinstance(edit, BindSlot) and edit.binding in terms
                if isinstance(edit, BindSlot):
                    terms[edit.binding] = edit.term
                if key in _keys_of(edit, terms):
                    happened.append(_told(edit, delta, known))
        return happened

    def bindings(self, at_ms: int) -> Bindings:
        """The fold of what had been written by a time."""
        bindings = Bindings()
        for delta in self._deltas:
            if delta.at_ms > at_ms:
                break
            bindings.apply(delta, LogState(version=delta.version))
        return bindings

    def in_force(self, at_ms: int) -> dict[str, TermInForce]:
        """What readers could see at a time, by term."""
        bindings = self.bindings(at_ms)
        return {one.term: _then(one) for one in bindings.visible(at_ms, bindings.version).values()}

    def rollback(
        self, to_ms: int, terms: Iterable[str] | None, by: str, now: int
    ) -> list[RollbackEvent]:
        """The events that put terms, all with None, back as they were at a time."""
        was = self.in_force(to_ms)
        bound = {one.term: one for one in self.bindings(now).bound.values()}
        wanted = sorted(was.keys() | bound.keys()) if terms is None else list(terms)
        events: list[RollbackEvent] = []
        gone: set[str] = set()
        for term in wanted:
            old = was.get(term)
            if old is not None and old.until_ms is not None and old.until_ms <= now:
                old = None  # its time is over by now
            if old is None and term in bound:
                gone.add(term)
            elif old is not None and _differs(old, bound.get(term), now):
                events.append((term, _bind(old, now, by)))
        return [*_released(gone, bound, now, by), *events]


def _released(
    gone: set[str], bound: Mapping[str, BindSlot], revision: int, by: str
) -> Iterator[RollbackEvent]:
    """A campaign that goes as a whole goes as one."""
    campaigns: dict[str, set[str]] = {}
    for one in bound.values():
        if one.campaign:
            campaigns.setdefault(one.campaign, set()).add(one.term)
    for key, members in campaigns.items():
        if members <= gone:
            gone = gone - members
            yield key.removeprefix(CAMPAIGN_PREFIX), CampaignReleaseData(revision, by)
    for term in sorted(gone):
        yield term, ReleaseData(revision, by)


def _differs(old: TermInForce, bound: BindSlot | None, now: int) -> bool:
    if bound is None or bound.from_ms > now:
        return True
    told = _then(bound)
    return msgspec.structs.replace(told, revision=old.revision, campaign=old.campaign) != old


def _bind(old: TermInForce, revision: int, by: str) -> BindData:
    return BindData(
        revision=revision,
        selector=SelectorData(
            old.match,
            list(old.items),
            old.where,
            list(old.plus),
            list(old.minus),
            list(old.pins),
        ),
        aliases=list(old.aliases),
        category=old.category,
        owner=old.owner,
        reason=old.reason,
        until=None if old.until_ms is None else datetime.fromtimestamp(old.until_ms / 1000, UTC),
        by=by,
    )


def _then(bound: BindSlot) -> TermInForce:
    return TermInForce(
        bound.term,
        bound.aliases,
        CATEGORIES[bound.category],
        bound.selector.match,
        bound.selector.items,
        bound.selector.where,
        bound.selector.plus,
        bound.selector.minus,
        bound.selector.pins,
        bound.owner,
        bound.reason,
        bound.until_ms or None,
        bound.campaign,
        bound.revision,
    )


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


def _told(edit: Edit, delta: Delta, known: bool) -> TermHistoryEntry:
    def told(
        what: str, revision: int | None = None, by: str = "", detail: str = ""
    ) -> TermHistoryEntry:
        return TermHistoryEntry(delta.at_ms, delta.version, what, revision, by, detail)

    match edit:
        case BindSlot():
            approved = f"approved by {edit.approved_by}" if edit.approved_by else ""
            return told("changed" if known else "bound", edit.revision, edit.by, approved)
        case Deactivate():
            return told(edit.cause or "released", edit.revision, edit.by)
        case Refuse():
            return told("refused", edit.revision, detail=edit.cause)
        case Propose():
            return told("proposed", edit.revision, edit.change.by)
        case Withdraw():
            return told("rejected", edit.revision, edit.by, edit.reason)
    return told("activated")


def _read_deltas(topology: Topology) -> Iterator[Delta]:
    clients = clients_for(topology, "terms")
    partition = TopicPartition(topology.bindings_topic, 0)
    try:
        for _, delta in deltas_from(topology, clients, partition, LogState()):
            yield delta
    finally:
        clients.close()
