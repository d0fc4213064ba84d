"""Request snapshots from the owners of shards, and wait until they are in the archive."""

from collections.abc import Callable
from dataclasses import dataclass

from kae.streams.control.client import ControlClient, RequestOutcome
from kae.streams.control.records import ControlRecord, RequestAnswer, Snapshot, Snapshotted
from kae.streams.snapshots.listing import SnapshotOutcome

OnFinished = Callable[[SnapshotOutcome], None]


@dataclass(slots=True)
class _SnapshotRequest:
    """One request, its answer, and the record of the snapshot."""

    shard: int
    request: int
    answer: RequestAnswer | None = None
    snapshot: Snapshotted | None = None

    def apply(self, record: ControlRecord) -> bool:
        """Fold a record; returns whether it finishes this request."""
        if isinstance(record, RequestAnswer) and record.request == self.request and not self.answer:
            self.answer = record
            return bool(record.refused)
        if not isinstance(record, Snapshotted) or record.shard != self.shard:
            return False
        # A snapshot that was begun before the request has an earlier version.
        if self.answer is None or record.version < self.answer.version:
            return False
        self.snapshot = record
        return True

    def outcome(self) -> SnapshotOutcome:
        answer, snapshot = self.answer, self.snapshot
        if answer is None:
            return SnapshotOutcome(self.shard, self.request, RequestOutcome.OPEN)
        if answer.refused:
            return SnapshotOutcome(
                self.shard, self.request, RequestOutcome.REFUSED, answer.refused, answer.worker
            )
        if snapshot is None:
            cause = "begun, and not finished yet"
            return SnapshotOutcome(
                self.shard, self.request, RequestOutcome.OPEN, cause, answer.worker
            )
        return SnapshotOutcome(
            self.shard,
            self.request,
            RequestOutcome.REFUSED if snapshot.failed else RequestOutcome.DONE,
            snapshot.failed,
            snapshot.worker,
            snapshot.version,
            snapshot.manifest or None,
            snapshot.bytes,
            snapshot.sent_bytes,
        )


def request_snapshots(
    client: ControlClient, reason: str, within_seconds: float, on_finished: OnFinished
) -> list[SnapshotOutcome]:
    """Request a snapshot of each of the client's shards, and wait for so many seconds.

    Raises: AppendUnknown.
    """
    shards = client.shards
    offsets = client.send([client.request(Snapshot, shard, reason) for shard in shards])
    requests = [_SnapshotRequest(*one) for one in zip(shards, offsets, strict=True)]
    unfinished = list(requests)
    for record in client.read_on(offsets[0], within_seconds):
        if record.generation != client.topology.generation:
            continue
        for one in [one for one in unfinished if one.apply(record)]:
            unfinished.remove(one)
            on_finished(one.outcome())
        if not unfinished:
            break
    return [one.outcome() for one in requests]
