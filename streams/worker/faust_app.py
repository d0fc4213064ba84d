"""Faust as kae uses it: group membership, rebalances, agents and flow; never positions.

After every assignment Faust seeks to the offsets it has committed. Here it asks the stores instead,
which alone know what has been indexed (ADR 1).
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, cast

import faust
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP
from faust.types.transports import SchedulingStrategyT
from faust.types.tuples import ConsumerMessage

from kae.streams.kafka.connection import login, tls_context
from kae.streams.topology.types import Topology

# A run's records; with the buffered runs it bounds what a worker holds beside its batch.
RUN_RECORDS = 256
BUFFERED_RUNS = 12
# How long a broker may hold a fetch back that it has nothing for.
FETCH_WAIT_MS = 25
Positions = Callable[[], Awaitable[Mapping[TP, int]]]


class _Unfiltered(dict[TP, int | None]):
    """Faust's notes of what it has read, which let nothing be dropped.

    A batch in hand while the consumer seeks back would raise them again, and then the records that
    were sought would be taken for old ones. What is old is the stores' to say.
    """

    def __missing__(self, tp: TP) -> None:
        return None

    def __setitem__(self, tp: TP, offset: int | None) -> None:
        pass

    def update(self, *_: Any, **__: Any) -> None:
        pass


class PartitionRuns(SchedulingStrategyT):
    """Hands over what was fetched in runs: consecutive records of one partition at a time.

    Faust's own strategy takes turns between partitions, record by record, and then makes a message
    and an event of each; that alone costs more than indexing an item (docs/benchmarks.md).
    """

    def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, list[Any]]]:
        for tp, fetched in records.items():
            for first in range(0, len(fetched), RUN_RECORDS):
                yield tp, fetched[first : first + RUN_RECORDS]


class Runs(faust.Schema[None, Any]):
    """Messages whose value is a run of records, as the consumer delivered them."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> None:
        return None

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        return message.value


class StoreThread(AIOKafkaConsumerThread):
    """Faust's consumer thread, whose fetches come back soon.

    aiokafka has one fetch at a time under way, and leaves out of it the partitions whose records
    have not been taken for 0.1 s. Once that is all of them but the terms', Faust's fetch waits
    1.5 s for a term, and what comes for the others meanwhile is too much to be taken in 0.1 s.
    """

    def _create_worker_consumer(self, transport: Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # Faust has no setting for it
        return consumer


class StoreConsumer(Consumer):
    """A consumer that delivers runs, and whose committed offsets are the stores' own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _Unfiltered()
        self.held: frozenset[TP] = frozenset()

    def _new_consumer_thread(self) -> StoreThread:
        return StoreThread(self, loop=self.loop, beacon=self.beacon)

    def _to_message(self, tp: TP, run: list[Any]) -> ConsumerMessage:
        first = run[0]
        value = cast("bytes", run)  # Faust passes it on to the topic's schema
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            first.offset,
            first.timestamp / 1000,
            first.timestamp_type,
            headers=None,
            key=None,
            value=value,
            checksum=None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    def on_buffer_full(self, tp: TP) -> None:
        """Go on fetching every partition: a full queue holds the fetcher back by itself.

        Faust would leave the partition out, and once all are left out it sleeps for a second.
        """

    def hold(self, partitions: Iterable[TP]) -> None:
        """Fetch nothing of exactly these partitions, until told otherwise."""
        freed, self.held = self.held, frozenset(partitions)
        self.pause_partitions(self.held & self.assignment())
        self.resume_partitions((freed - self.held) & self.assignment())

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Faust resumes everything after a rebalance; what is held stays so."""
        super().resume_partitions(set(tps) - self.held)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        positions = await cast("App", self.app).kae_positions()
        held = {tp: positions[tp] for tp in self.assignment() if tp in positions}
        await self.seek_wait(held)
        return held

    async def publish_positions(self, positions: Mapping[TP, int]) -> None:
        """Commit, for the eyes of lag tools alone; what fails is told by the next one."""
        await self._thread.call_thread(self._commit_held, positions)

    async def _commit_held(self, positions: Mapping[TP, int]) -> None:
        # On the consumer's own thread, where the assignment cannot change in between: a commit of
        # nothing would crash it.
        consumer = self._thread._ensure_consumer()
        held = consumer.assignment()
        offsets = {
            TopicPartition(tp.topic, tp.partition): offset
            for tp, offset in positions.items()
            if tp in held
        }
        if offsets:
            with contextlib.suppress(KafkaError):
                await consumer.commit(offsets)


class StoreTransport(Transport):
    """Faust's Kafka transport with that consumer."""

    Consumer = StoreConsumer


class App(faust.App):
    """A Faust app that is told its positions."""

    kae_positions: Positions

    @property
    def store_consumer(self) -> StoreConsumer:
        return cast("StoreConsumer", self.consumer)


def _credentials(topology: Topology) -> faust.auth.Credentials | None:
    security = topology.kafka.security
    context = tls_context(topology) if security.has_tls else None
    if security.has_sasl:
        username, password = login(topology)
        return faust.SASLCredentials(
            username=username,
            password=password,
            mechanism=security.mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context else None


def build_app(topology: Topology, positions: Positions) -> App:
    """An app with one consumer group a generation, and nothing of Faust's own state."""
    worker = topology.worker
    broker = "aiokafka://" + topology.kafka.bootstrap.replace(",", ";")
    app = App(
        topology.worker_group,
        broker=broker,
        broker_credentials=_credentials(topology),
        store="memory://",
        autodiscover=False,
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        table_standby_replicas=0,
        stream_wait_empty=False,
        ConsumerScheduler=PartitionRuns,
        stream_buffer_maxsize=BUFFERED_RUNS,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=worker.session_timeout_seconds,
        broker_heartbeat_interval=worker.heartbeat_seconds,
        broker_request_timeout=max(
            topology.kafka.request_timeout_seconds, worker.session_timeout_seconds
        ),
        broker_max_poll_records=worker.batch_events,
        value_serializer="raw",
        key_serializer="raw",
    )
    app.kae_positions = positions
    app.transport = StoreTransport(app.conf.broker_consumer, app)
    return app


def run_topic(app: App, name: str) -> Any:
    """A topic whose events are runs, which Faust neither tracks nor acknowledges."""
    return app.topic(name, schema=Runs(), acks=False)
