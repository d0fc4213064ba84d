"""What the console reads and publishes: a replica over HTTP, the brokers, dead letters, audit."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import msgspec
from kafka import TopicPartition

from kae.encoders.text.normal_form import normalise
from kae.streams.clock import now_ms
from kae.streams.console.audit import AuditLog
from kae.streams.dead_letters import answers
from kae.streams.dead_letters.index import DeadLetterFilter, DeadLetterIndex, choose_dead_letters
from kae.streams.dead_letters.replay import replay_dead_letters
from kae.streams.dead_letters.replay_plan import plan_replay
from kae.streams.errors import TermRefused
from kae.streams.events.envelope import Undecodable
from kae.streams.events.term_data import (
    ApproveData,
    BindData,
    PlanData,
    RejectData,
    ReleaseData,
    SelectorData,
    TermData,
)
from kae.streams.events.terms import decode_term, encode_term, rules_of
from kae.streams.kafka.lag import Lag, read_lags
from kae.streams.kafka.log import KafkaClients
from kae.streams.replica_api.answers import BindingShown, BindingsShown, ProposalShown
from kae.streams.replica_api.client import ReplicaClient
from kae.streams.replica_api.status import Status
from kae.streams.replica_api.terms import Previewed
from kae.streams.terms.category import CategoryChoice, choose_category
from kae.streams.terms.history import BindingsHistory, TermHistoryEntry
from kae.streams.terms.publish import publish, publish_all
from kae.streams.topology.types import Topology

DEAD_LETTERS_SHOWN = 100
SOURCE = "/kae/console"


class Published(msgspec.Struct, frozen=True):
    """A term event that the broker has acknowledged; its receipt tells whether it takes effect."""

    term: str
    revision: int


class Overview(msgspec.Struct, frozen=True):
    """The state of the index; `late_shards` lag by more than limits.lag_seconds."""

    status: Status
    bindings: BindingsShown
    lag_events: int
    lag_seconds: float
    late_shards: list[int]
    dead_letters: answers.DeadLetterCounts


class ConsoleBackend:
    """Everything the console does with an index; safe to use from any thread."""

    def __init__(self, topology: Topology, replica: ReplicaClient) -> None:
        self.topology = topology
        self.replica = replica
        self._clients = KafkaClients.for_reading(topology, "console")
        self.audit = AuditLog(topology, self._clients)
        self._dead_letters = DeadLetterIndex(topology, self._clients)
        self._dead_letters_lock = threading.Lock()
        self._revision_lock = threading.Lock()
        self._last_revision = 0

    def close(self) -> None:
        """Close all connections, the replica's included."""
        self._clients.close()
        self.replica.close()

    # Status.

    def overview(self) -> Overview:
        """Raises: ReplicaUnreachable; KafkaUnreachable."""
        status = self.replica.status()
        lags = self._lags(status)
        now, limit = now_ms(), self.topology.limits.lag_seconds
        seconds = [lag.seconds(lag.position, now) for lag in lags]
        with self._read_dead_letters() as index:
            dead_letters = answers.count_dead_letters(index)
        return Overview(
            status=status,
            bindings=self.replica.bindings(),
            lag_events=sum(lag.end - lag.position for lag in lags),
            lag_seconds=max(seconds, default=0.0),
            late_shards=[shard for shard, late in enumerate(seconds) if late > limit],
            dead_letters=dead_letters,
        )

    def bound(self, term: str) -> BindingShown | None:
        """The active binding of a normalised term, if there is one."""
        return next((one for one in self.replica.bindings().active if one.term == term), None)

    def _lags(self, status: Status) -> list[Lag]:
        partitions = [
            TopicPartition(self.topology.items_topic, shard.shard) for shard in status.shards
        ]
        positions = [shard.source_next_offset for shard in status.shards]
        with self._clients.borrowed_consumer() as consumer:
            lags = read_lags(consumer, dict(zip(partitions, positions, strict=True)))
        return [lags[partition] for partition in partitions]

    # Terms.

    def bind(self, word: str, data: BindData, who: str) -> Published:
        """Publish a binding with a new revision.

        Raises: TermRefused; KafkaUnreachable.
        """
        _check_selector(word, data.selector)
        revised = msgspec.structs.replace(data, revision=self._next_revision(), by=who)
        return self._publish(word, revised, revised.revision)

    def preview(self, word: str, data: BindData, who: str) -> tuple[Previewed, CategoryChoice]:
        """What a binding would do, and how its category was chosen; publishes nothing.

        Raises: TermRefused; ReplicaUnreachable, ReplicaRefused.
        """
        _check_selector(word, data.selector)
        chosen = choose_category(word, data.category, self.topology.terms.default_category)
        revised = msgspec.structs.replace(data, revision=now_ms(), category=chosen.category, by=who)
        event = encode_term(word, revised, SOURCE)
        try:
            decode_term(
                None, event, self.topology.limits.event_bytes, now_ms(), rules_of(self.topology)
            )
        except Undecodable as error:
            raise TermRefused(f"{word!r}: {error}; correct it") from error
        return self.replica.preview(event, word), chosen

    def release(self, word: str, who: str) -> Published:
        """Raises: TermRefused; KafkaUnreachable."""
        revision = self._next_revision()
        return self._publish(word, ReleaseData(revision, who), revision)

    def history(self, term: str) -> list[TermHistoryEntry]:
        """Everything that happened to a normalised term, newest first.

        Raises: KafkaUnreachable.
        """
        return BindingsHistory.read(self.topology).history(term)[::-1]

    def roll_back(self, term: str, version: int, who: str) -> Published:
        """Restore a term to its state before a version of the bindings log, by new events.

        Raises: TermRefused; KafkaUnreachable.
        """
        past = BindingsHistory.read(self.topology)
        happened = next((one for one in past.history(term) if one.version == version), None)
        if happened is None:
            raise TermRefused(
                f"{term!r}: version {version} of the bindings log does not concern it"
            )
        revision = self._next_revision()
        events = past.rollback(happened.at_ms - 1, [term], who, revision)
        if not events:
            raise TermRefused(
                f"{term!r}: is already as it was before version {version}; nothing was published"
            )
        publish_all(self.topology, events)
        return Published(term, revision)

    def approve(self, key: str, proposal: int, who: str) -> Published:
        """Approve a proposal, with the plan that it was proposed with.

        Raises: TermRefused; KafkaUnreachable; ReplicaUnreachable.
        """
        pending = self._proposal(key, proposal)
        revision = self._next_revision()
        plan = PlanData(pending.plan_hash, pending.plan_items)
        return self._publish(key, ApproveData(revision, proposal, who, plan), proposal)

    def reject(self, key: str, proposal: int, reason: str, who: str) -> Published:
        """Raises: TermRefused; KafkaUnreachable; ReplicaUnreachable."""
        self._proposal(key, proposal)
        revision = self._next_revision()
        return self._publish(key, RejectData(revision, proposal, who, reason), proposal)

    def _proposal(self, key: str, proposal: int) -> ProposalShown:
        for one in self.replica.bindings().proposals:
            if (one.key, one.revision) == (key, proposal):
                return one
        raise TermRefused(f"{key!r}: revision {proposal} is no longer waiting for approval")

    def _publish(self, subject: str, data: TermData, revision: int) -> Published:
        publish(self.topology, subject, data)
        return Published(normalise(subject), revision)

    def _next_revision(self) -> int:
        """The time in ms, as for `kae term`, but never the same value twice."""
        with self._revision_lock:
            self._last_revision = max(now_ms(), self._last_revision + 1)
            return self._last_revision

    # Dead letters.

    def dead_letters(
        self, kind: str = "", cause: str = "", include_replayed: bool = False
    ) -> answers.DeadLettersListed:
        """Raises: KafkaUnreachable."""
        with self._read_dead_letters() as index:
            chosen = choose_dead_letters(index, DeadLetterFilter(kind, cause))
            if not include_replayed:
                chosen = [entry for entry in chosen if index.is_open(entry)]
            return answers.list_dead_letters(index, chosen, DEAD_LETTERS_SHOWN)

    def dead_letter(self, address: str) -> tuple[answers.DeadLetterOpened, answers.ReplayStep]:
        """A dead letter, and what a replay would do with it.

        Raises: DeadLetterUnknown; KafkaUnreachable.
        """
        with self._read_dead_letters() as index:
            entry = index.at(address)
            opened = answers.open_dead_letter(index, entry, index.values([entry])[entry.identity])
            replays = plan_replay(index, [entry], {}, False)
            return opened, answers.replay_report(replays, None).steps[0]

    def replay(self, addresses: Sequence[str]) -> answers.ReplayReport:
        """Replay dead letters, each at most once.

        Raises: DeadLetterUnknown; KafkaUnreachable.
        """
        with self._read_dead_letters() as index:
            replays = plan_replay(index, [index.at(address) for address in addresses], {}, False)
            return answers.replay_report(replays, replay_dead_letters(index, replays))

    @contextmanager
    def _read_dead_letters(self) -> Iterator[DeadLetterIndex]:
        with self._dead_letters_lock:
            self._dead_letters.read_on()
            yield self._dead_letters


class ThroughputSamples:
    """Throughput over the last two minutes, from the event counts of the replica's view."""

    SAMPLES = 60
    EVERY_SECONDS = 2.0

    def __init__(self) -> None:
        self._samples: list[tuple[float, int]] = []

    def add(self, status: Status) -> None:
        """Add a sample unless the last one is too recent."""
        now = time.monotonic()
        if self._samples and now - self._samples[-1][0] < self.EVERY_SECONDS / 2:
            return
        self._samples.append((now, sum(shard.counts.read for shard in status.shards)))
        del self._samples[: -self.SAMPLES - 1]

    def per_second(self) -> list[float]:
        """Events a second between consecutive samples, oldest first."""
        samples = list(self._samples)
        return [
            max(0.0, (read - former) / (at - since))
            for (since, former), (at, read) in pairwise(samples)
        ]


def _check_selector(word: str, selector: SelectorData) -> None:
    if not normalise(word):
        raise TermRefused(f"{word!r}: contains no letter or digit; give a word")
    if not (selector.match or selector.items or selector.where):
        raise TermRefused(f"{word!r}: no selector; say which items the word should lead to")


def selector_of(match: str, items: str, where: str) -> SelectorData:
    """The selector of a form; `items` has one id per line."""
    ids = [line.strip() for line in items.splitlines() if line.strip()]
    return SelectorData(match.strip(), ids, where.strip())
