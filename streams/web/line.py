"""What the console asks and tells: a replica over HTTP, the brokers, the letterbox, the audit."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import msgspec
from kafka import TopicPartition

from kae.encoders.text import normalise
from kae.streams.errors import TermRefused
from kae.streams.events import TERM_BIND, BindData, SelectorData
from kae.streams.kafka_log import KafkaClients
from kae.streams.lag import Lag, read_lags
from kae.streams.letters import answers
from kae.streams.letters.choice import Choice, choose
from kae.streams.letters.letterbox import Letterbox
from kae.streams.letters.plan import plan
from kae.streams.letters.replay import replay
from kae.streams.moments import now_ms
from kae.streams.replica.answers import BindingShown, BindingsShown, Status
from kae.streams.replica.client import ReplicaClient
from kae.streams.term_watch import publish_bind, publish_release
from kae.streams.topic_plan import BATCH_BYTES
from kae.streams.topology import Topology
from kae.streams.web.audit import Audit

SOURCE = "/kae/console"
LETTERS_SHOWN = 100


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


class Line:
    """One index, as operations see it; may be asked from any thread."""

    def __init__(self, topology: Topology, replica: ReplicaClient) -> None:
        kafka = topology.kafka
        self.topology = topology
        self.replica = replica
        self._clients = KafkaClients(
            kafka.bootstrap,
            f"{kafka.client_id}-console",
            timeout_seconds=kafka.request_timeout_seconds,
            max_bytes=BATCH_BYTES,
        )
        self.audit = Audit(topology, self._clients)
        self._box = Letterbox(topology, self._clients)
        self._box_lock = threading.Lock()
        self._revision_lock = threading.Lock()
        self._last_revision = 0

    def close(self) -> None:
        self._clients.close()

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
        if not normalise(word):
            raise TermRefused(f"{word!r}: has no letter or digit; give a word")
        selector = data.selector
        if not (selector.match or selector.items or selector.where):
            raise TermRefused(f"{word!r}: no selector; say which items the word shall lead to")
        stamped = msgspec.structs.replace(data, revision=self._next_revision())
        publish_bind(self.topology, word, stamped, _source(who))
        return Published(normalise(word), stamped.revision)

    def release(self, word: str, who: str) -> Published:
        """Raises: TermRefused; KafkaUnreachable."""
        revision = self._next_revision()
        publish_release(self.topology, word, revision, _source(who))
        return Published(normalise(word), revision)

    def put_back(self, term: str, offset: int, who: str) -> Published:
        """Put a term back as it was before the event at `offset`: by a new event.

        Raises: TermRefused; KafkaUnreachable.
        """
        row = self.audit.row(offset)
        if row is None or not term or row.term != term:
            raise TermRefused(f"{term!r}: has no event at offset {offset} of the terms topic")
        before = self.audit.in_force_before(term, offset)
        if before is None or before.type != TERM_BIND:
            return self.release(row.word, who)
        data = self.audit.bind_data(before.offset)
        reason = f"put back as it was at {before.at}; {data.reason}"[:512]
        return self.bind(before.word, msgspec.structs.replace(data, reason=reason), who)

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
            chosen = choose(box, Choice(kind, cause))
            if not every:
                chosen = [letter for letter in chosen if box.is_open(letter)]
            return answers.listed(box, chosen, LETTERS_SHOWN)

    def letter(self, address: str) -> tuple[answers.LetterOpened, answers.ReplayStep]:
        """A letter, and what would become of it if it were sent again.

        Raises: LetterUnknown; KafkaUnreachable.
        """
        with self._letterbox() as box:
            letter = box.at(address)
            opened = answers.opened(box, letter, box.values([letter])[letter.identity])
            return opened, answers.report(plan(box, [letter], {}, False), None).steps[0]

    def replay(self, addresses: Sequence[str]) -> answers.ReplayReport:
        """Send letters again, each once.

        Raises: LetterUnknown; KafkaUnreachable.
        """
        with self._letterbox() as box:
            planned = plan(box, [box.at(address) for address in addresses], {}, False)
            return answers.report(planned, replay(box, planned))

    @contextmanager
    def _letterbox(self) -> Iterator[Letterbox]:
        with self._box_lock:
            self._box.read_on()
            yield self._box


class Pace:
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


def _source(who: str) -> str:
    return f"{SOURCE}/{who}" if who else SOURCE


def selector_of(match: str, items: str, where: str) -> SelectorData:
    """From a form: items are ids, one a line."""
    ids = [line.strip() for line in items.splitlines() if line.strip()]
    return SelectorData(match.strip(), ids, where.strip())
