"""What the console asks and tells: a replica over HTTP, the brokers, the letterbox, the audit."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import msgspec
from kafka import TopicPartition

from kae.encoders.text.normal_form import normalise
from kae.streams.clock import now_ms
from kae.streams.console.audit import Audit
from kae.streams.dead_letters import answers
from kae.streams.dead_letters.index import DeadLetterFilter, DeadLetterIndex, choose
from kae.streams.dead_letters.replay import replay
from kae.streams.dead_letters.replay_plan import plan
from kae.streams.errors import TermRefused
from kae.streams.events.envelope import Undecodable
from kae.streams.events.term_data import (
    ApproveData,
    BindData,
    PlanData,
    RejectData,
    ReleaseData,
    SelectorData,
)
from kae.streams.events.terms import decode_term, encode_term, rules_of
from kae.streams.kafka.lag import Lag, read_lags
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.topic_plan import BATCH_BYTES
from kae.streams.replica_api.answers import BindingShown, BindingsShown, ProposalShown, Status
from kae.streams.replica_api.client import ReplicaClient
from kae.streams.replica_api.terms import Previewed
from kae.streams.terms.category import CategoryChoice, choose_category
from kae.streams.terms.history import BindingsHistory, TermHistoryEntry
from kae.streams.terms.publish import publish, publish_all
from kae.streams.topology.types import Topology

LETTERS_SHOWN = 100
SOURCE = "/kae/console"


class Published(msgspec.Struct, frozen=True):
    """A term event that the broker has; whether it takes effect is told by the term's receipt."""

    term: str
    revision: int


class Overview(msgspec.Struct, frozen=True):
    """The line at a glance; `late_shards` are further behind than limits.lag_seconds."""

    status: Status
    bindings: BindingsShown
    lag_events: int
    lag_seconds: float
    late_shards: list[int]
    dead_letters: answers.LettersCounted


class ConsoleBackend:
    """One index, as operations see it; may be asked from any thread."""

    def __init__(self, topology: Topology, replica: ReplicaClient) -> None:
        self.topology = topology
        self.replica = replica
        self._clients = KafkaClients.of(
            topology,
            "console",
            timeout_seconds=topology.kafka.request_timeout_seconds,
            max_bytes=BATCH_BYTES,
        )
        self.audit = Audit(topology, self._clients)
        self._box = DeadLetterIndex(topology, self._clients)
        self._box_lock = threading.Lock()
        self._revision_lock = threading.Lock()
        self._last_revision = 0

    def close(self) -> None:
        """Give its connections back, the replica's too."""
        self._clients.close()
        self.replica.close()

    # What there is.

    def overview(self) -> Overview:
        """Raises: ReplicaUnreachable; KafkaUnreachable."""
        status = self.replica.status()
        lags = self._lags(status)
        now, limit = now_ms(), self.topology.limits.lag_seconds
        seconds = [lag.seconds(lag.position, now) for lag in lags]
        with self._letterbox() as box:
            letters = answers.count(box)
        return Overview(
            status=status,
            bindings=self.replica.bindings(),
            lag_events=sum(lag.end - lag.position for lag in lags),
            lag_seconds=max(seconds, default=0.0),
            late_shards=[shard for shard, late in enumerate(seconds) if late > limit],
            dead_letters=letters,
        )

    def bound(self, term: str) -> BindingShown | None:
        """The binding of a normalised term, if it has one."""
        return next((one for one in self.replica.bindings().active if one.term == term), None)

    def _lags(self, status: Status) -> list[Lag]:
        places = [TopicPartition(self.topology.items_topic, shard.shard) for shard in status.shards]
        positions = [shard.source_next_offset for shard in status.shards]
        with self._clients.borrowed_consumer() as consumer:
            lags = read_lags(consumer, dict(zip(places, positions, strict=True)))
        return [lags[place] for place in places]

    # Terms.

    def bind(self, word: str, data: BindData, who: str) -> Published:
        """Publish a binding; its revision is set here.

        Raises: TermRefused; KafkaUnreachable.
        """
        _refuse_unselecting(word, data.selector)
        stamped = msgspec.structs.replace(data, revision=self._next_revision(), by=who)
        return self._publish(word, stamped, stamped.revision)

    def preview(self, word: str, data: BindData, who: str) -> tuple[Previewed, CategoryChoice]:
        """What a binding would do, and how its category came about; nothing is published.

        Raises: TermRefused; ReplicaUnreachable, ReplicaRefused.
        """
        _refuse_unselecting(word, data.selector)
        chosen = choose_category(word, data.category, self.topology.terms.default_category)
        asked = msgspec.structs.replace(data, revision=now_ms(), category=chosen.category, by=who)
        event = encode_term(word, asked, SOURCE)
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
        """All that happened to a normalised term, the newest first.

        Raises: KafkaUnreachable.
        """
        return BindingsHistory.read(self.topology).history(term)[::-1]

    def put_back(self, term: str, version: int, who: str) -> Published:
        """Put a term back as it was before that version of the bindings log, by new events.

        Raises: TermRefused; KafkaUnreachable.
        """
        past = BindingsHistory.read(self.topology)
        happened = next((one for one in past.history(term) if one.version == version), None)
        if happened is None:
            raise TermRefused(f"{term!r}: version {version} of the bindings log is none of its")
        revision = self._next_revision()
        events = past.rollback(happened.at_ms - 1, [term], who, revision)
        if not events:
            raise TermRefused(f"{term!r}: is as it was before version {version}; nothing was sent")
        publish_all(self.topology, events)
        return Published(term, revision)

    def approve(self, key: str, proposal: int, who: str) -> Published:
        """Have a proposal carried out, with the plan that it was proposed with.

        Raises: TermRefused; KafkaUnreachable; ReplicaUnreachable.
        """
        waiting = self._proposal(key, proposal)
        revision = self._next_revision()
        plan = PlanData(waiting.plan_hash, waiting.plan_items)
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
        raise TermRefused(f"{key!r}: revision {proposal} waits for no approval any more")

    def _publish(self, subject: str, data: msgspec.Struct, revision: int) -> Published:
        publish(self.topology, subject, data)
        return Published(normalise(subject), revision)

    def _next_revision(self) -> int:
        """The time in ms, as `kae term` takes it, and never one twice."""
        with self._revision_lock:
            self._last_revision = max(now_ms(), self._last_revision + 1)
            return self._last_revision

    # Dead letters.

    def letters(
        self, kind: str = "", cause: str = "", every: bool = False
    ) -> answers.LettersListed:
        """Raises: KafkaUnreachable."""
        with self._letterbox() as box:
            chosen = choose(box, DeadLetterFilter(kind, cause))
            if not every:
                chosen = [letter for letter in chosen if box.is_open(letter)]
            return answers.list_letters(box, chosen, LETTERS_SHOWN)

    def letter(self, address: str) -> tuple[answers.LetterOpened, answers.ReplayStep]:
        """A letter, and what would become of it if it were sent again.

        Raises: LetterUnknown; KafkaUnreachable.
        """
        with self._letterbox() as box:
            letter = box.at(address)
            opened = answers.open_letter(box, letter, box.values([letter])[letter.identity])
            return opened, answers.report(plan(box, [letter], {}, False), None).steps[0]

    def replay(self, addresses: Sequence[str]) -> answers.ReplayReport:
        """Send letters again, each once.

        Raises: LetterUnknown; KafkaUnreachable.
        """
        with self._letterbox() as box:
            planned = plan(box, [box.at(address) for address in addresses], {}, False)
            return answers.report(planned, replay(box, planned))

    @contextmanager
    def _letterbox(self) -> Iterator[DeadLetterIndex]:
        with self._box_lock:
            self._box.read_on()
            yield self._box


class ThroughputSamples:
    """Throughput, from how much the replica's view says was read, sampled by time."""

    SAMPLES = 60
    EVERY_SECONDS = 2.0

    def __init__(self) -> None:
        self._read: list[tuple[float, int]] = []

    def note(self, status: Status) -> None:
        """Take a sample, unless the last one is too young."""
        now = time.monotonic()
        if self._read and now - self._read[-1][0] < self.EVERY_SECONDS / 2:
            return
        self._read.append((now, sum(shard.counts.read for shard in status.shards)))
        del self._read[: -self.SAMPLES - 1]

    def per_second(self) -> list[float]:
        """Events a second between samples, the oldest first."""
        samples = list(self._read)
        return [
            max(0.0, (read - former) / (at - since))
            for (since, former), (at, read) in pairwise(samples)
        ]


def _refuse_unselecting(word: str, selector: SelectorData) -> None:
    if not normalise(word):
        raise TermRefused(f"{word!r}: has no letter or digit; give a word")
    if not (selector.match or selector.items or selector.where):
        raise TermRefused(f"{word!r}: no selector; say which items the word shall lead to")


def selector_of(match: str, items: str, where: str) -> SelectorData:
    """From a form: items are ids, one a line."""
    ids = [line.strip() for line in items.splitlines() if line.strip()]
    return SelectorData(match.strip(), ids, where.strip())
