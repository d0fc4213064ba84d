"""Registering term events, in the worker that owns the terms partition."""

from collections.abc import Callable, Sequence

import structlog

from kae.encoders.categories import POSITIONS
from kae.encoders.codebook.codebook import Codebook
from kae.sinks.log.ownership import Fenced
from kae.sinks.log.protocol import LOG_ENDED_REMEDY, AppendUnknown
from kae.sinks.log.term_changes import TermChange
from kae.sinks.terms.draft import TermPolicy
from kae.sinks.terms.due import ShardStates
from kae.sinks.terms.registrar import Registrar
from kae.streams.clock import now_ms
from kae.streams.control.follower import ControlFollower
from kae.streams.control.state import ControlState
from kae.streams.dead_letters import records
from kae.streams.dead_letters.records import DeadLetter, SourceRecord
from kae.streams.events import causes
from kae.streams.events.envelope import Undecodable
from kae.streams.events.signatures import Signatures
from kae.streams.events.terms import decode_term, rules_of
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.source import REGISTRAR, SourcePosition, SourceTopic, find_break
from kae.streams.telemetry import metrics
from kae.streams.topology.types import Topology
from kae.streams.worker.assignment import WorkerIdentity
from kae.streams.worker.meters import WorkerMeters

log = structlog.get_logger()
# The cause of a dead letter.
REPLAYED = "signature: of an event that was carried out, or overtaken, before; it changes nothing"


class RegistrarService:
    """Decodes term events for the registrar, which is open while this worker owns the terms.

    All but its properties is for the registrar thread.
    """

    def __init__(
        self,
        topology: Topology,
        identity: WorkerIdentity,
        codebook: Codebook,
        clients: KafkaClients,
        control: ControlFollower[ControlState],
        meters: WorkerMeters,
    ) -> None:
        self._topology = topology
        self._identity = identity
        self._clients = clients
        self._control = control
        self._meters = meters
        self._reserved = {p: codebook.reserved(p) for p in range(POSITIONS)}
        self._rules = rules_of(topology, codebook.position_of)
        self._signatures = Signatures(topology)
        self._registrar: Registrar | None = None
        self._source = SourceTopic(clients, topology.terms_topic)
        self.stopped = ""  # why it registers no term events: the topic does not go on

    @property
    def is_open(self) -> bool:
        return self._registrar is not None

    @property
    def next_offset(self) -> int | None:
        """The offset of the term event to register next; None while the registrar is closed."""
        registrar = self._registrar
        return registrar.next_offset if registrar else None

    def open(self) -> None:
        """Claim the bindings log, unless it is owned already."""
        if self._registrar is not None:
            return
        topology = self._topology
        self._registrar = Registrar(
            self._clients.log(topology.bindings_topic, 0),
            owner=self._identity.name,
            fingerprint=self._identity.fingerprint,
            reserved=self._reserved,
            max_bytes=topology.limits.delta_bytes,
            policy=TermPolicy(
                topology.terms.approvals,
                topology.terms.plan_tolerance_percent,
                topology.terms.quarantine_ms,
                topology.terms.items_per_selector,
                topology.limits.event_bytes,
            ),
        )
        log.info("registrar_opened", version=self._registrar.bindings.version)
        self.check_source()

    def close(self) -> None:
        self._registrar = None
        self.stopped = ""

    def check_source(self) -> None:
        """Stop registering when the topic does not continue where the registrar stands.

        For any thread, as it asks the brokers.
        Raises: KafkaError.
        """
        registrar = self._registrar
        if registrar is None or self.stopped:
            return
        # Before the question: an end that is asked later cannot lie before it by itself.
        next_offset = registrar.next_offset
        with self._clients.borrowed_consumer() as consumer:
            found = self._source.bounds(consumer, {0: next_offset})[0]
        if not registrar.topic or not next_offset:
            registrar.note_topic(found.topic)
        cause = find_break(SourcePosition(next_offset, registrar.topic, REGISTRAR), found)
        if cause and registrar is self._registrar:
            self.stopped = cause
            log.error("registrar_stopped", cause=f"{cause}. {LOG_ENDED_REMEDY}")

    def register(self, records: Sequence[SourceRecord]) -> int | None:
        """Register a batch of term events.

        Returns: the offset to seek back to when records before these are missing, or None.
        Raises: AppendUnknown when dead letters cannot be stored.
        """
        registrar = self._registrar
        if registrar is None or self.stopped:
            return None
        changes: list[TermChange] = []
        sources: list[SourceRecord] = []  # of each change
        dead: list[DeadLetter] = []
        expected = registrar.next_offset
        for record in records:
            if record.offset < expected:
                continue
            if record.offset > expected and not self._follows(record, expected):
                return expected
            expected = record.offset + 1
            try:
                change = self._decode(record)
            except Undecodable as error:
                dead.append(DeadLetter(record, str(error), error.kind))
                continue
            changes.append(change)
            sources.append(record)
        if expected > registrar.next_offset:
            return self._register(registrar, changes, sources, dead, expected)
        return None

    def _follows(self, record: SourceRecord, expected: int) -> bool:
        """Whether the topic holds no event between `expected` and this one."""
        terms = self._clients.log(record.topic, record.partition)
        return terms.first_offset(expected) == record.offset

    def _decode(self, record: SourceRecord) -> TermChange:
        limit, at_ms = self._topology.limits.event_bytes, record.timestamp
        value, signer = self._signatures.open(record.value, record.headers)
        headers = () if signer else record.headers
        change = decode_term(record.key, value, limit, at_ms, self._rules, headers)
        self._signatures.check(change.by, signer)
        return change

    def _register(
        self,
        registrar: Registrar,
        changes: Sequence[TermChange],
        sources: Sequence[SourceRecord],
        dead: list[DeadLetter],
        next_offset: int,
    ) -> int | None:
        plan = registrar.plan(changes)
        if self._signatures.required:
            dead += [DeadLetter(sources[p], REPLAYED, causes.TERM_REPLAYED) for p in plan.stale]
            plan = plan.without_stale()
        not_planned = len(dead)
        dead += [
            DeadLetter(sources[place], refusal.cause, causes.TERM_REFUSED)
            for place, refusal in plan.refused.items()
        ]
        if dead:
            topic = self._topology.dead_letters_topic
            timeout = self._topology.kafka.delivery_timeout_seconds
            records.publish_dead_letters(self._clients, topic, dead, timeout)
        at_ms = now_ms()
        if not self._write(lambda: registrar.register(plan, not_planned, next_offset, at_ms)):
            return self.next_offset
        self._meters.count(metrics.WORKER_TERMS_REFUSED, by=len(plan.refused))
        return None

    def free_slots(self) -> None:
        """Free the slots that every shard has detached, once their quarantine is over."""
        registrar, topology = self._registrar, self._topology
        if registrar is None:
            return
        reached = list(self._control.state.bindings_reached.values())
        quarantine_ms = topology.terms.quarantine_ms
        self._write(lambda: registrar.free_slots(reached, topology.shards, now_ms(), quarantine_ms))

    def apply_due(self) -> None:
        """Expire, activate and give up the bindings for which that is due."""
        registrar, topology = self._registrar, self._topology
        if registrar is None:
            return
        control = self._control.state
        # In this order `attached` is at least as new as `bindings_reached`.
        states = ShardStates(dict(control.bindings_reached), dict(control.attached))
        attach_ms = int(topology.terms.attach_seconds * 1000)
        self._write(lambda: registrar.apply_due(states, topology.shards, now_ms(), attach_ms))

    def _write(self, write: Callable[[], int | None]) -> bool:
        """Write to the log; False if that failed, and the log is claimed and read again."""
        try:
            edits = write()
        except (Fenced, AppendUnknown) as error:
            log.warning("registrar_lost", cause=str(error))
            self.close()
            self.open()
            return False
        if edits:
            log.info("bindings_tended", edits=edits)
        return True
