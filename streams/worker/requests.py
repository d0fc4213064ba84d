"""Carrying out requests: what the control topic asks of the shards that this worker holds.

A request is carried out by one delta of the shard's log, without edits and counts, that names it:
appended first, applied second, believed by everybody only under the current epoch. So it is carried
out once, whoever is killed, and each later owner knows of it. Its answer, for people, follows on
the control topic; whoever holds the shard next gives it if it is missing.

Everything here runs on the shard thread.
"""

import structlog
from kafka import TopicPartition

from kae.sinks.shard import Shard
from kae.streams.clock import now_ms
from kae.streams.control import records
from kae.streams.control.follower import ControlFollower
from kae.streams.control.records import Refold, Request, RequestAnswer, Reset, Resume, Snapshot
from kae.streams.control.state import ControlState, RequestState
from kae.streams.kafka.log import KafkaClients
from kae.streams.runtime import failpoints
from kae.streams.shards.requests import (
    RetainedOffsets,
    apply_request,
    refold_refusal,
    reset_refusal,
)
from kae.streams.topology.types import Topology
from kae.streams.worker.indexer import Indexer
from kae.streams.worker.ownership import OwnedShards, ShardWorkResult, WorkerIdentity
from kae.streams.worker.snapshots import SnapshotSchedule

log = structlog.get_logger()


class ShardRequests:
    """Carries out the requests of one worker's shards, in the order in which they were made."""

    def __init__(
        self,
        topology: Topology,
        identity: WorkerIdentity,
        clients: KafkaClients,
        held: OwnedShards,
        indexer: Indexer,
        follower: ControlFollower[ControlState],
        upkeep: SnapshotSchedule,
    ) -> None:
        self._topology = topology
        self._identity = identity
        self._clients = clients
        self._held = held
        self._indexer = indexer
        self._follower = follower
        self._upkeep = upkeep
        self._log = clients.log(topology.control_topic, 0)
        # Answers that the follower may not have read yet.
        self._answered: set[int] = set()

    def catch_up(self) -> ShardWorkResult:
        """Carry out all that was asked before these shards were taken over.

        The end of the topic is the record that says so, as for every log.
        Raises: AppendUnknown, KafkaTimeoutError: the broker is away.
        """
        shards = sorted(self._held.shards)
        if not shards:
            return ShardWorkResult()
        self._follower.wait_for(self._announce(shards))
        return self.carry_out()

    def carry_out(self) -> ShardWorkResult:
        """Carry out what is open; where to seek is told for each shard that goes on elsewhere.

        Raises: AppendUnknown when an answer is in doubt.
        """
        outcome = ShardWorkResult()
        waiting = self._follower.state.open_for(self._held.shards)
        self._answered.intersection_update([open_request.offset for open_request in waiting])
        for open_request in waiting:
            if open_request.offset not in self._answered:
                outcome = outcome.and_then(self._carry_out(open_request))
        return outcome

    def _carry_out(self, open_request: RequestState) -> ShardWorkResult:
        outcome = self._indexer.land()
        partition = open_request.request.shard
        shard = self._held.shards.get(partition)
        if shard is None:
            return outcome
        refused = ""
        if shard.source.next_control <= open_request.offset:
            refused = self._why_not(open_request.request, shard.next_offset)
            if isinstance(open_request.request, Refold) and not refused:
                outcome = outcome.and_then(self._held.refold(partition))
                if partition in outcome.lost:
                    return outcome  # whoever opens it next finds the request open
                shard = self._held.shards[partition]
                self._announce([partition])
            outcome = outcome.and_then(self._append(open_request, shard, refused))
            if partition in outcome.lost:
                return outcome
        self._answer(open_request, shard, refused)
        if isinstance(open_request.request, Snapshot) and not refused:
            self._upkeep.begin(partition)
        if isinstance(open_request.request, Reset | Resume) and not shard.source.paused:
            outcome.seek[partition] = shard.next_offset
        return outcome

    def _append(self, open_request: RequestState, shard: Shard, refused: str) -> ShardWorkResult:
        # A refusal is appended too, and changes nothing: only the owner may refuse.
        source = shard.source if refused else apply_request(open_request, shard.source)
        failpoints.reach(failpoints.REQUEST_READ)
        sent = shard.append_source(source, now_ms())
        failpoints.when_stored([sent.flight.appending], failpoints.REQUEST_APPENDED)
        return self._indexer.settle({open_request.request.shard: sent})

    def _answer(self, open_request: RequestState, shard: Shard, refused: str) -> None:
        failpoints.reach(failpoints.REQUEST_APPLIED)
        request, version = open_request.request, shard.store.state.version
        answer = RequestAnswer(
            request.generation,
            request.shard,
            open_request.offset,
            refused,
            self._identity.name,
            version,
            now_ms(),
        )
        self._log.append([records.encode_control_record(answer)]).offsets()
        self._answered.add(open_request.offset)
        log.info(
            "request_answered",
            shard=request.shard,
            request=type(request).__name__.lower(),
            control_offset=open_request.offset,
            by=request.by,
            refused=refused,
            version=version,
            next_offset=shard.next_offset,
        )

    def _announce(self, shards: list[int]) -> int:
        """Say who holds these shards; the last record's offset."""
        reached = [records.encode_control_record(self._indexer.reached(shard)) for shard in shards]
        return self._log.append(reached).offsets()[-1]

    def _why_not(self, request: Request, next_offset: int) -> str:
        shard = request.shard
        if isinstance(request, Reset):
            items = self._retained(self._topology.items_topic, shard)
            return reset_refusal(shard, request.to_offset, next_offset, items)
        if isinstance(request, Refold):
            return refold_refusal(shard, self._retained(self._topology.deltas_topic, shard))
        if isinstance(request, Snapshot):
            return self._upkeep.why_not(shard)
        return ""

    def _retained(self, topic: str, partition: int) -> RetainedOffsets:
        place = TopicPartition(topic, partition)
        with self._clients.borrowed_consumer() as consumer:
            return RetainedOffsets(
                f"{topic}/{partition}", consumer.beginning_offsets([place])[place]
            )
