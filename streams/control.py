"""The control topic: what shard owners and the registrar tell each other."""

import threading

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError

from kae.sinks.log import AppendUnknown
from kae.streams.kafka_log import KafkaLog


class Reached(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A shard's log holds, accepted, everything up to a bindings version.

    It is sent after the shard's delta was folded, so it is a lasting truth and needs no epoch.
    """

    generation: int
    shard: int
    bindings_version: int


_decoder = msgspec.msgpack.Decoder(Reached)


def announce(producer: KafkaProducer, topic: str, reached: Reached) -> None:
    """Send without waiting: whoever opens the shard next says it again.

    Raises: AppendUnknown when the producer does not take it.
    """
    try:
        producer.send(topic, value=msgspec.msgpack.encode(reached), partition=0)
    except KafkaError as error:
        raise AppendUnknown(f"{topic}: {reached} was not sent: {error!r}") from error


class ReachedFollower:
    """Keeps the highest bindings version that each shard has reached."""

    def __init__(self, log: KafkaLog, generation: int) -> None:
        self._log = log
        self._generation = generation
        self._versions: dict[int, int] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="control", daemon=True)
        self._thread.start()

    def versions(self) -> list[int]:
        return list(self._versions.values())

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _follow(self) -> None:
        for offset, payload in self._log.read(0):
            if self._stopping.is_set():
                return
            if offset < 0:
                continue
            reached = _decoder.decode(payload)
            if reached.generation == self._generation:
                known = self._versions.get(reached.shard, 0)
                self._versions[reached.shard] = max(known, reached.bindings_version)
