"""A process's Kafka clients, and partitions as logs that kae appends to and reads."""

import base64
import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import structlog
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    RetriableError,
    for_code,
)

from kae.sinks.log.protocol import LOG_ENDED_REMEDY, AppendUnknown, LogEnded
from kae.streams.kafka.codecs import check_codecs
from kae.streams.kafka.connection import ANSWER_SECONDS, REFUSALS, Settings, connection
from kae.streams.kafka.consumer import WholeConsumer, poll
from kae.streams.kafka.topic_plan import DEAD_LETTER_BYTES
from kae.streams.telemetry.traces import carried
from kae.streams.topology.types import Topology

log = structlog.get_logger()
# Errors that mean that a broker is away, and nothing else is wrong.
BROKER_AWAY = (AppendUnknown, RetriableError)
FETCH_BYTES = 4 << 20
# Consumers kept for later reads: as many as usually read at once.
IDLE_CONSUMERS = 4
# How long an append that is late already may still take, and how long others of a producer after
# one that is in doubt: they are given up together, and not one after another.
LATE_SECONDS = 0.1
OTHERS_SECONDS = 1.0
# How long no producer is made after one that found no broker: the appends of all shards fail with
# the first, which has waited.
UNREACHED_SECONDS = 1.0
# How long a broker may delay a fetch; the embedded broker always delays it by a part of this.
FETCH_WAIT_MS = 50
# How long a question about a topic may take; whoever follows a log waits for it.
ADMIN_SECONDS = 5.0
# How often whoever follows a log asks whether it is still the same topic.
SAME_TOPIC_SECONDS = 2.0


class BrokersMoved(Exception):
    """The brokers answer at the bootstrap addresses, and no longer where this client asks them.

    A client that begins anew finds them (what KIP-899 lets Java's clients do by themselves).
    """


class KafkaAppending:
    """Records handed to the producer, whose acknowledgements are awaited together."""

    def __init__(
        self,
        name: str,
        futures: Sequence[Any],
        refusal: KafkaError | None,
        timeout_seconds: float,
        on_unknown: Callable[[], None],
        given_up_at: Callable[[], float],
    ) -> None:
        """`refusal` is why the producer did not accept the records after those of `futures`.

        The time begins now, not when it is waited for; it is over at `given_up_at` at the latest.
        """
        self._name = name
        self._futures = futures
        self._refusal = refusal
        self._deadline = time.monotonic() + timeout_seconds
        self._on_unknown = on_unknown
        self._given_up_at = given_up_at

    def offsets(self) -> Sequence[int]:
        try:
            if self._refusal is not None:
                raise self._refusal
            return [self._acknowledged(future).offset for future in self._futures]
        except REFUSALS:
            # Retrying does not help: the process ends with the reason.
            raise
        except KafkaError as error:
            self._on_unknown()
            raise AppendUnknown(
                f"{self._name}: no acknowledgement from the broker: {error!r}"
            ) from error

    def _acknowledged(self, future: Any) -> Any:
        deadline = min(self._deadline, self._given_up_at())
        return future.get(timeout=max(LATE_SECONDS, deadline - time.monotonic()))

    def on_acknowledged(self, call: Callable[[], None]) -> None:
        if self._refusal is None:
            self._futures[-1].add_callback(lambda _metadata: call())

    def on_done(self, call: Callable[[], None]) -> None:
        if self._refusal is not None:
            call()
        else:
            self._futures[-1].add_both(lambda _result: call())


class KafkaLog:
    """One partition; the producer is shared, a consumer is borrowed to read.

    The topic is never compacted and its records are never part of a transaction, so the offsets of
    one owner's uncontested appends are contiguous.
    """

    def __init__(
        self, topic: str, partition: int, clients: "KafkaClients", timeout_seconds: float
    ) -> None:
        self.name = f"{topic}/{partition}"
        self._tp = TopicPartition(topic, partition)
        self._clients = clients
        self._timeout = timeout_seconds

    def append(self, payloads: Sequence[bytes]) -> KafkaAppending:
        producer: KafkaProducer | None = None
        futures: list[Any] = []
        refusal: KafkaError | None = None
        headers = carried()
        try:
            producer = self._clients.producer
            for payload in payloads:
                sent = producer.send(
                    self._tp.topic, value=payload, headers=headers, partition=self._tp.partition
                )
                futures.append(sent)
        except KafkaError as error:
            # Some records may be sent: the outcome of the append is unknown.
            refusal = error
        return KafkaAppending(
            self.name,
            futures,
            refusal,
            self._timeout,
            on_unknown=lambda: self._clients.renew_producer(producer),
            given_up_at=lambda: self._clients.given_up_at(producer),
        )

    def first_offset(self, offset: int) -> int:
        """The offset of the first record from `offset` on; it has to exist.

        It may be later than `offset`: the markers that end transactions have offsets, and so have
        aborted records.
        """
        return next(found for found, _ in self.read(offset) if found >= 0)

    def read(self, offset: int) -> Iterator[tuple[int, bytes]]:
        same_topic = SameTopic(self._clients, [self._tp.topic])
        while True:
            with suppress(BrokersMoved), self._clients.borrowed_consumer() as consumer:
                consumer.assign([self._tp])
                consumer.seek(self._tp, offset)
                heard_at = time.monotonic()
                while True:
                    records = poll(consumer, self.name)
                    same_topic.check()
                    for record in records:
                        offset = record.offset + 1
                        yield record.offset, record.value
                    if records:
                        heard_at = time.monotonic()
                        continue
                    yield -1, b""
                    if time.monotonic() - heard_at > self._timeout:
                        self._clients.refuse_moved(consumer, self._tp)
                        heard_at = time.monotonic()


class SameTopic:
    """Notices that a topic that is followed was deleted and made again.

    The new one may have grown past the follower's position before that is out of range.
    """

    def __init__(self, clients: "KafkaClients", topics: Sequence[str]) -> None:
        self._clients = clients
        self._topics = topics
        self._known: dict[str, str] = {}
        self._asked_at = time.monotonic()

    def check(self) -> None:
        """Ask the brokers, if it is time.

        Raises: LogEnded.
        """
        if time.monotonic() - self._asked_at < SAME_TOPIC_SECONDS:
            return
        for topic in self._topics:
            try:
                found = self._clients.topic_id(topic)
            except KafkaError:
                continue  # the next poll, or the next question, says more
            known = self._known.setdefault(topic, found) or found
            if found != known:
                raise LogEnded(
                    f"{topic}: the topic was deleted and made again (id {found}, before {known}); "
                    f"what was folded of the first is not in it. {LOG_ENDED_REMEDY}"
                )
        self._asked_at = time.monotonic()


class KafkaClients:
    """The Kafka clients of one process: one idempotent producer, consumers as they are needed.

    A producer that left an append in doubt is not used again: its next sequence numbers follow
    records that the broker may never have seen, so later appends would fail too.
    """

    def __init__(
        self,
        bootstrap: str,
        client_id: str,
        *,
        timeout_seconds: float,
        max_bytes: int,
        security: Settings | None = None,
    ) -> None:
        """`security` is the settings of `connection`; without it, PLAINTEXT.

        Raises: NotInstalled when a codec is missing that records may be compressed with.
        """
        check_codecs()
        self._settings: Settings = {
            "bootstrap_servers": bootstrap,
            "client_id": client_id,
            **(security or {}),
        }
        self.timeout_seconds = timeout_seconds
        self._max_bytes = max_bytes
        self._producer: KafkaProducer | None = None
        self._idle: list[KafkaConsumer] = []
        self._lock = threading.Lock()
        self._admin: KafkaAdminClient | None = None
        self._admin_lock = threading.Lock()
        self._unreached_at = self._renewed_at = -math.inf
        self.producers_renewed = 0

    @classmethod
    def for_reading(cls, topology: Topology, name: str) -> "KafkaClients":
        """Clients of a command that appends nothing; the brokers know them as CLIENT_ID-NAME.

        Raises: CredentialsUnusable.
        """
        return cls._named(topology, name, topology.kafka.request_timeout_seconds)

    @classmethod
    def for_writing(cls, topology: Topology, name: str) -> "KafkaClients":
        """Clients of a command or process that appends; the brokers know them as CLIENT_ID-NAME.

        Raises: CredentialsUnusable.
        """
        return cls._named(topology, name, topology.kafka.delivery_timeout_seconds)

    @classmethod
    def _named(cls, topology: Topology, name: str, timeout_seconds: float) -> "KafkaClients":
        return cls(
            topology.kafka.bootstrap,
            f"{topology.kafka.client_id}-{name}",
            timeout_seconds=timeout_seconds,
            max_bytes=topology.limits.delta_bytes,
            security=connection(topology),
        )

    def __enter__(self) -> "KafkaClients":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def producer(self) -> KafkaProducer:
        with self._lock:
            if self._producer is None:
                if time.monotonic() - self._unreached_at < UNREACHED_SECONDS:
                    raise KafkaTimeoutError("no broker answered a moment ago")
                self._producer = self._new_producer()
            return self._producer

    def _new_producer(self) -> KafkaProducer:
        try:
            return KafkaProducer(
                **self._settings,
                acks="all",
                enable_idempotence=True,
                # The deltas of a batch, one a shard, go out in one request.
                linger_ms=1,
                batch_size=1 << 20,
                max_request_size=max(self._max_bytes * 2, DEAD_LETTER_BYTES),
                delivery_timeout_ms=int(self.timeout_seconds * 1000),
                request_timeout_ms=int(self.timeout_seconds * 1000) // 2,
                max_block_ms=int(self.timeout_seconds * 1000),
                bootstrap_timeout_ms=int(self.timeout_seconds * 1000),
            )
        except KafkaError:
            self._unreached_at = time.monotonic()
            raise

    def given_up_at(self, producer: KafkaProducer | None) -> float:
        """When the appends of a producer are in doubt that has been renewed."""
        with self._lock:
            is_current = producer is None or producer is self._producer
            return math.inf if is_current else self._renewed_at + OTHERS_SECONDS

    def renew_producer(self, failed: KafkaProducer | None) -> None:
        """Give the next append a new producer, unless it has one already."""
        with self._lock:
            if failed is None or failed is not self._producer:
                return
            self._producer = None
            self._renewed_at = time.monotonic()
            self.producers_renewed += 1
        log.warning("producer_renewed")
        # Appends that are in flight are still finished; of most nobody waits for the end.
        drain_seconds = self.timeout_seconds + 5
        threading.Thread(
            target=_retire, args=(failed, drain_seconds), name="retire", daemon=True
        ).start()

    def consumer(
        self, fetch_bytes: int = FETCH_BYTES, bootstrap_seconds: float | None = None
    ) -> KafkaConsumer:
        """A consumer without a group: positions are kae's own.

        It skips what a transaction has written that was aborted, and waits for one that is open.
        """
        return WholeConsumer(
            **self._settings,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_partition_fetch_bytes=fetch_bytes,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            request_timeout_ms=int(self.timeout_seconds * 1000) // 2,
            bootstrap_timeout_ms=int((bootstrap_seconds or self.timeout_seconds) * 1000),
            max_poll_records=2000,
        )

    def refuse_moved(self, consumer: KafkaConsumer, place: TopicPartition) -> None:
        """For a consumer that nothing came to for a while: ask the brokers whether it may go on.

        Raises: BrokersMoved; later consumers and producers of these clients find them.
        """
        try:
            consumer.end_offsets([place])
        except KafkaError as error:
            if self.bootstrap_answers():
                log.warning("brokers_moved", error=repr(error))
                with self._lock:
                    idle, self._idle = self._idle, []
                    producer = self._producer
                for one in idle:
                    one.close(autocommit=False)
                self.renew_producer(producer)
                self._forget_admin()
                raise BrokersMoved from error

    def _forget_admin(self) -> None:
        if self._admin_lock.acquire(timeout=ADMIN_SECONDS):
            try:
                admin, self._admin = self._admin, None
            finally:
                self._admin_lock.release()
            if admin is not None:
                admin.close()

    def bootstrap_answers(self) -> bool:
        """Whether a client that begins now finds the brokers."""
        try:
            self.consumer(bootstrap_seconds=ANSWER_SECONDS).close(autocommit=False)
        except KafkaError:
            return False
        return True

    @contextmanager
    def borrowed_consumer(self) -> Iterator[KafkaConsumer]:
        """A consumer for one read; it is kept, since connecting takes longer than most reads."""
        with self._lock:
            consumer = self._idle.pop() if self._idle else None
        consumer = consumer or self.consumer()
        try:
            yield consumer
        except GeneratorExit:
            self._keep(consumer)
            raise
        except BaseException:
            consumer.close(autocommit=False)
            raise
        else:
            self._keep(consumer)

    def _keep(self, consumer: KafkaConsumer) -> None:
        consumer.unsubscribe()
        with self._lock:
            if len(self._idle) < IDLE_CONSUMERS:
                self._idle.append(consumer)
                return
        consumer.close(autocommit=False)

    def topic_id(self, topic: str) -> str:
        """The id that a topic got when it was made, as Kafka writes it; empty if it has none.

        Raises: KafkaError; UnknownTopicOrPartitionError when there is no such topic.
        """
        seconds = min(ADMIN_SECONDS, self.timeout_seconds / 2)
        if not self._admin_lock.acquire(timeout=seconds):
            raise KafkaTimeoutError(f"{topic}: no answer came within {seconds:g} s")
        try:
            if self._admin is None:
                self._admin = KafkaAdminClient(
                    **self._settings,
                    request_timeout_ms=int(seconds * 1000),
                    bootstrap_timeout_ms=int(seconds * 1000),
                )
            (found,) = self._admin.describe_topics([topic])
        finally:
            self._admin_lock.release()
        if found["error_code"]:
            raise for_code(found["error_code"])(topic)
        number = found.get("topic_id")
        if not number or not uuid.UUID(str(number)).int:
            return ""
        return base64.urlsafe_b64encode(uuid.UUID(str(number)).bytes).decode().rstrip("=")

    def log(self, topic: str, partition: int) -> KafkaLog:
        return KafkaLog(topic, partition, self, self.timeout_seconds + 5)

    def close(self) -> None:
        with self._admin_lock:
            if self._admin is not None:
                self._admin.close()
                self._admin = None
        with self._lock:
            if self._producer is not None:
                _retire(self._producer, 5)
                self._producer = None
            for consumer in self._idle:
                consumer.close(autocommit=False)
            self._idle.clear()


def _retire(producer: KafkaProducer, within_seconds: float) -> None:
    try:
        producer.close(timeout=within_seconds)
    except KafkaError as error:
        # No append waits for its last records any more, and its thread is a daemon.
        log.warning("producer_abandoned", error=repr(error))
