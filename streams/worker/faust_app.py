"""Faust as kae uses it: group membership, rebalances, agents and flow control, but not positions.

After an assignment Faust seeks to the offsets it has committed. Here it seeks to those of the
stores, which alone know what has been indexed (ADR 1).
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
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

# Records of a run; with the number of buffered runs, this bounds what a worker holds in memory.
RUN_RECORDS = 256
BUFFERED_RUNS = 12
# How long a broker may hold back a fetch that it has no records for.
FETCH_WAIT_MS = 25
# A topic that was deleted and made again is assigned again once the group's leader asks for it.
METADATA_MS = 10_000
# How long a question to the brokers may take whose answer nothing depends on; aiokafka repeats some
# for ever.
ASK_SECONDS = 5.0
Positions = Callable[[], Mapping[TP, int]]


class _Unfiltered(dict[TP, int | None]):
    """Faust's record of the offsets it has read, kept empty, so that Faust drops no record as old.

    A batch that is at work during a seek back would raise those offsets again, and Faust would drop
    the records that were sought. The stores decide what is old.
    """

    def __missing__(self, tp: TP) -> None:
        return None

    def __setitem__(self, tp: TP, offset: int | None) -> None:
        pass

    def update(self, *_: Any, **__: Any) -> None:
        pass


class PartitionRuns(SchedulingStrategyT):
    """Delivers what was fetched in runs: consecutive records of one partition.

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
    """Faust's consumer thread, with fetches that return soon and hold only what is committed.

    aiokafka has one fetch under way at a time, and leaves out the partitions whose records have not
    been taken for 0.1 s. Once it leaves out all but the terms, a fetch of Faust's waits 1.5 s for a
    term, and more arrives for the others meanwhile than is taken in 0.1 s.
    """

    def _create_worker_consumer(self, transport: Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # Faust has no setting for the first, and the second only for transactions of its own.
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        consumer._isolation_level = "read_committed"
        return consumer


class StoreConsumer(Consumer):
    """A consumer that delivers runs, and takes the stores' positions for committed offsets."""

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
        """Go on fetching every partition: a full queue blocks the fetcher by itself.

        Faust would leave the partition out, and sleep for a second once it leaves out all.
        """

    def hold(self, partitions: Iterable[TP]) -> None:
        """Fetch nothing of exactly these partitions, until the next call."""
        freed, self.held = self.held, frozenset(partitions)
        self.pause_partitions(self.held & self.assignment())
        self.resume_partitions((freed - self.held) & self.assignment())

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Faust resumes everything after a rebalance; held partitions stay paused."""
        super().resume_partitions(set(tps) - self.held)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        positions = cast("App", self.app).kae_positions()
        owned = {tp: positions[tp] for tp in self.assignment() if tp in positions}
        await self.seek_wait(owned)
        return owned

    async def reaches_broker(self, within_seconds: float) -> bool:
        """Whether one of the brokers that it knows answers."""
        asked = self._thread.call_thread(self._ask_brokers)
        try:
            await asyncio.wait_for(asked, within_seconds)
        except (KafkaError, TimeoutError):
            return False
        return True

    async def _ask_brokers(self) -> None:
        client = self._thread._ensure_consumer()._client
        await asyncio.wait_for(client.fetch_all_metadata(), ASK_SECONDS)

    async def publish_positions(self, positions: Mapping[TP, int]) -> None:
        """Commit the positions, only for lag tools; a commit that fails is made up by the next."""
        await self._thread.call_thread(self._commit_assigned, positions)

    async def _commit_assigned(self, positions: Mapping[TP, int]) -> None:
        # On the consumer's own thread, where the assignment cannot change meanwhile: a commit
        # without partitions would crash it.
        consumer = self._thread._ensure_consumer()
        assigned = consumer.assignment()
        offsets = {
            TopicPartition(tp.topic, tp.partition): offset
            for tp, offset in positions.items()
            if tp in assigned
        }
        if offsets:
            with contextlib.suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(consumer.commit(offsets), ASK_SECONDS)


class StoreTransport(Transport):
    """Faust's Kafka transport with a StoreConsumer."""

    Consumer = StoreConsumer


class App(faust.App):
    """A Faust app that reads on from positions that it is given."""

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
    """An app with a consumer group for each generation, and without state of Faust's own."""
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
        consumer_metadata_max_age_ms=METADATA_MS,
        value_serializer="raw",
        key_serializer="raw",
    )
    app.kae_positions = positions
    app.transport = StoreTransport(app.conf.broker_consumer, app)
    return app


def run_topic(app: App, name: str) -> Any:
    """A topic whose events are runs; Faust neither tracks nor acknowledges them."""
    return app.topic(name, schema=Runs(), acks=False)
