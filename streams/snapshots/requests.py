"""Asking the owners of shards for snapshots, and waiting until they are in the archive."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from kae.streams.control import records
from kae.streams.control.client import ControlClient, RequestOutcome
from kae.streams.control.records import RequestAnswer, Snapshot, Snapshotted
from kae.streams.snapshots.listing import SnapshotAsked

OnNews = Callable[[SnapshotAsked], None]


@dataclass(slots=True)
class _Asked:
    """One request, what its shard's owner answered, and what came of the snapshot."""

    shard: int
    request: int
    answer: RequestAnswer | None = None
    came: Snapshotted | None = None

    def hear(self, record: records.ControlRecord) -> bool:
        """Take in a record that concerns this request; whether nothing more is to come."""
        if isinstance(record, RequestAnswer) and record.request == self.request and not self.answer:
            self.answer = record
            return bool(record.refused)
        if not isinstance(record, Snapshotted) or record.shard != self.shard:
            return False
        # One that was under way before is of an earlier version.
        if self.answer is None or record.version < self.answer.version:
            return False
        self.came = record
        return True

    def shown(self) -> SnapshotAsked:
        answer, came = self.answer, self.came
        if answer is None:
            return SnapshotAsked(self.shard, self.request, RequestOutcome.OPEN)
        if answer.refused:
            return SnapshotAsked(
                self.shard, self.request, RequestOutcome.REFUSED, answer.refused, answer.worker
            )
        if came is None:
            cause = "begun, and nothing has come of it yet"
            return SnapshotAsked(
                self.shard, self.request, RequestOutcome.OPEN, cause, answer.worker
            )
        return SnapshotAsked(
            self.shard,
            self.request,
            RequestOutcome.REFUSED if came.failed else RequestOutcome.DONE,
            came.failed,
            came.worker,
            came.version,
            came.manifest or None,
            came.bytes,
            came.sent_bytes,
        )


def ask_for_snapshots(
    desk: ControlClient, shards: Sequence[int], reason: str, within_seconds: float, on_news: OnNews
) -> list[SnapshotAsked]:
    """Ask, and wait for as long as that; `on_news` is told of each that has come to its end.

    Raises: AppendUnknown.
    """
    log = desk.clients.log(desk.topology.control_topic, 0)
    requests = [records.encode(desk.sign(Snapshot, shard, reason)) for shard in shards]
    offsets = log.append(requests).offsets()
    asked = [_Asked(shard, offset) for shard, offset in zip(shards, offsets, strict=True)]
    waiting = list(asked)
    deadline = time.monotonic() + within_seconds
    for offset, payload in log.read(offsets[0]):
        record = _decoded(payload) if offset >= 0 else None
        if record is not None and record.generation == desk.topology.generation:
            for one in [one for one in waiting if one.hear(record)]:
                waiting.remove(one)
                on_news(one.shown())
        if not waiting or time.monotonic() > deadline:
            break
    return [one.shown() for one in asked]


def _decoded(payload: bytes) -> records.ControlRecord | None:
    try:
        return records.decode(payload)
    except msgspec.DecodeError:
        return None  # whoever carries requests out passes it over too, and logs it
