"""Leases: what each replica has applied, and which replicas are alive.

A replica writes a lease to the replicas topic for each generation that it follows: every third of
`replica.lease_seconds`, and at once when a view with other bindings comes into use or when it
answers from another generation. A lease that is older than `lease_seconds`, or deleted by a
tombstone, does not count.
"""

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec
import structlog
from kafka.errors import KafkaError

from kae.streams.kafka.log import KafkaClients

log = structlog.get_logger()
# A replica without a lease for a day is gone, and is not shown any more.
FORGOTTEN_MS = 86_400_000


class LeaseInvalid(Exception):
    """A record of the replicas topic that no replica wrote."""


class Lease(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """What one replica's view of a generation holds; `shards` are the versions of its logs.

    A replica follows several generations and answers from one of them: `serving` says whether it
    is this one.
    """

    generation: int
    replica: str
    bindings_version: int
    shards: tuple[int, ...]
    at_ms: int
    serving: bool = True

    def covers(self, bindings_version: int, shards: Mapping[int, int]) -> bool:
        """Whether the view holds at least these versions."""
        return self.bindings_version >= bindings_version and all(
            shard < len(self.shards) and self.shards[shard] >= version
            for shard, version in shards.items()
        )

    def behind(self, bindings_version: int, versions: Sequence[int]) -> int:
        """How many of the deltas up to these versions the view lacks."""
        held = (*self.shards, *[0] * (len(versions) - len(self.shards)))
        pairs = zip((bindings_version, *versions), (self.bindings_version, *held), strict=True)
        return sum(max(0, there - here) for there, here in pairs)


_decoder = msgspec.msgpack.Decoder(Lease)


def encode_lease(lease: Lease) -> bytes:
    return msgspec.msgpack.encode(lease)


class Leases:
    """The newest lease of each replica of one generation; replaced as a whole, never changed."""

    def __init__(self, generation: int, lease_seconds: float) -> None:
        self._generation = generation
        self._lease_ms = int(lease_seconds * 1000)
        self._newest: Mapping[str, Lease] = MappingProxyType({})

    def add(self, key: bytes | None, value: bytes | None) -> None:
        """Add one record of the replicas topic.

        Raises: LeaseInvalid.
        """
        newest = dict(self._newest)
        try:
            writer = (key or b"").decode()
            if not value:
                newest.pop(writer, None)
            else:
                lease = _decoder.decode(value)
                if lease.generation == self._generation:
                    newest[writer] = lease
                    newest = {
                        name: known
                        for name, known in newest.items()
                        if lease.at_ms - known.at_ms <= FORGOTTEN_MS
                    }
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise LeaseInvalid(
                f"the replicas topic holds a record that is not a lease: {error}. "
                "Give kae a topics.prefix of its own"
            ) from error
        self._newest = MappingProxyType(newest)

    def all(self) -> list[Lease]:
        """The newest lease of every replica that has not signed off, by name."""
        return [lease for _, lease in sorted(self._newest.items())]

    def live(self, now_ms: int) -> list[Lease]:
        return [lease for lease in self.all() if self.is_live(lease, now_ms)]

    def is_live(self, lease: Lease, now_ms: int) -> bool:
        return now_ms - lease.at_ms <= self._lease_ms


class LeaseWriter:
    """Writes one replica's lease; an error is only logged, since a missing lease proves nothing.

    Used by the follower's thread alone, unless a method says otherwise.
    """

    def __init__(
        self,
        clients: KafkaClients,
        topic: str,
        name: str,
        generation: int,
        lease_seconds: float,
    ) -> None:
        self._clients = clients
        self._topic = topic
        self._key = f"g{generation}/{name}".encode()
        self._pause = lease_seconds / 3
        self._written_at = 0.0

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self._written_at >= self._pause

    def make_due(self) -> None:
        """Have it written soon; may be called from any thread."""
        self._written_at = 0.0

    def write(self, lease: Lease) -> None:
        self._written_at = time.monotonic()
        self._send(encode_lease(lease))

    def revoke(self) -> None:
        """Delete the lease, so that no receipt waits for this replica."""
        self._send(None)

    def _send(self, value: bytes | None) -> None:
        try:
            producer = self._clients.producer
            sent = producer.send(self._topic, key=self._key, value=value, partition=0)
            sent.add_errback(_log_failure)
        except KafkaError as error:
            _log_failure(error)


def _log_failure(error: BaseException) -> None:
    log.warning("lease_not_written", error=repr(error))
