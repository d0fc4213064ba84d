"""Admission of item events: a shard takes the records that follow what it has, up to a gap."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from kae.sinks.log.protocol import LogTruncated
from kae.streams.dead_letters.poison import ItemBatch
from kae.streams.dead_letters.records import DeadLetter, SourceRecord
from kae.streams.events.envelope import Undecodable
from kae.streams.events.items import check_home, decode_item
from kae.streams.kafka.log import KafkaClients
from kae.streams.topology.types import Topology

# Records of one partition with rising offsets.
Run = Sequence[SourceRecord]


@dataclass(slots=True)
class Admitted:
    """The batches, the offsets to seek back to, and why the topic lacks records; all by shard."""

    batches: dict[int, ItemBatch] = field(default_factory=dict)
    seek: dict[int, int] = field(default_factory=dict)
    gaps: dict[int, LogTruncated] = field(default_factory=dict)


class Admission:
    """Sorts records by shard, decodes those that are new, and finds where records are missing."""

    def __init__(
        self,
        topology: Topology,
        clients: KafkaClients,
        next_offset: Callable[[int], int | None],
    ) -> None:
        """`next_offset` is that of the record a shard reads next; None if it takes none."""
        self._topology = topology
        self._clients = clients
        self._next_offset = next_offset

    def admit(self, runs: Iterable[Run]) -> Admitted:
        """Records that a shard has already, and those after a gap, are left out."""
        found = Admitted()
        for run in runs:
            partition = run[0].partition
            expected = self._next_offset(partition)
            if expected is not None and partition not in found.seek.keys() | found.gaps.keys():
                batch = found.batches.setdefault(partition, ItemBatch(expected))
                try:
                    if not self._admit(run, batch):
                        found.seek[partition] = batch.next_offset
                except LogTruncated as error:
                    found.gaps[partition] = error
        found.batches = {shard: one for shard, one in found.batches.items() if one.is_news}
        return found

    def _admit(self, run: Run, batch: ItemBatch) -> bool:
        """Add a run to a batch; False if there is a gap before its first record.

        Within a run the consumer itself has skipped what is no record: the markers that end
        transactions, and what they have aborted.
        Raises: LogTruncated when the topic lacks the records of the gap.
        """
        first, expected = run[0], batch.next_offset
        if first.offset > expected and not self._follows(first, expected):
            return False
        for record in run:
            if record.offset < batch.next_offset:
                continue
            self._decode(record, batch)
            batch.next_offset = record.offset + 1
        return True

    def _follows(self, record: SourceRecord, expected: int) -> bool:
        """Whether the topic holds no record between `expected` and this one."""
        items = self._clients.log(record.topic, record.partition)
        return items.first_offset(expected) == record.offset

    def _decode(self, record: SourceRecord, batch: ItemBatch) -> None:
        try:
            limit = self._topology.limits.event_bytes
            change = decode_item(record.key, record.value, limit, record.headers)
            check_home(change.id, record.partition, self._topology.shards)
        except Undecodable as error:
            batch.dead.append(DeadLetter(record, str(error), error.kind))
            return
        batch.changes.append(change)
        batch.records.append(record)
