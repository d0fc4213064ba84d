"""Carrying out what operators request of shards, by the control topic.

A request is carried out by one delta of the shard's log, without edits and counts, that names it.
As it is appended first, applied second, and counts only in the current epoch, it is carried out
once, whichever process is killed, and every later owner knows of it. The answer for the operator
follows on the control topic; if it is missing, the shard's next owner gives it.

Everything here runs on the shard thread.
"""

import structlog
from kafka import TopicPartition

from kae.sinks.log.protocol import LOG_ENDED_REMEDY, LogEnded
from kae.sinks.shard import Shard
from kae.streams.clock import now_ms
from kae.streams.control import records
from kae.streams.control.follower import ControlFollower
from kae.streams.control.records import Refold, Request, RequestAnswer, Reset, Resume, Snapshot
from kae.streams.control.state import ControlState, RequestState
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.source import SourceBounds, count_lost
from kae.streams.runtime import failpoints
from kae.streams.shards.requests import (
    RetainedOffsets,
    apply_request,
    position_of,
    refold_refusal,
    reset_refusal,
    resume_refusal,
)
from kae.streams.topology.types import Topology
from kae.streams.worker.assignment import WorkerIdentity
from kae.streams.worker.bindings import BindingsApplier
from kae.streams.worker.ownership import OwnedShards, ShardWorkResult
from kae.streams.worker.snapshots import WorkerSnapshots
from kae.streams.worker.sources import SourceCheck
from kae.streams.worker.watchdog import Watchdog

log = structlog.get_logger()


class ShardRequests:
    """Carries out the requests for one worker's shards, in the order in which they were made."""

    def __init__(
        self,
        topology: Topology,
        identity: WorkerIdentity,
        clients: KafkaClients,
        control: ControlFollower[ControlState],
        owned: OwnedShards,
        bindings: BindingsApplier,
        snapshots: WorkerSnapshots,
        sources: SourceCheck,
        watchdog: Watchdog,
    ) -> None:
        self._topology = topology
        self._identity = identity
        self._clients = clients
        self._control = control
        self._owned = owned
        self._bindings = bindings
        self._snapshots = snapshots
        self._sources = sources
        self._watchdog = watchdog
        self._log = clients.log(topology.control_topic, 0)
        # Offsets of requests whose answer the control state may not have yet.
        self._answered: set[int] = set()

    def catch_up(self) -> ShardWorkResult:
        """Carry out all that was requested before these shards were taken over.

        It announces the shards on the topic, and reads the topic up to that record.
        Raises: AppendUnknown, KafkaTimeoutError: the broker is away; LogEnded when the topic ends
        before what the shards have carried out: their requests would be taken for done.
        """
        shards = sorted(self._owned.shards)
        if not shards:
            return ShardWorkResult()
        announced = self._announce(shards)
        for shard in shards:
            done = self._owned.shards[shard].source.next_control
            if done > announced:
                raise LogEnded(
                    f"{self._log.name} ends at {announced + 1}, shard {shard} has carried out what "
                    f"was requested before {done}: another topic, or one that lost its end. "
                    f"{LOG_ENDED_REMEDY}"
                )
        self._control.wait_for(announced)
        return self._carry_out_open()

    def carry_out(self) -> ShardWorkResult:
        """Carry out what is open; the result says where a shard reads on if that has changed.

        Raises: AppendUnknown when an answer is in doubt.
        """
        with self._watchdog.suspended():
            return self._carry_out_open()

    def _carry_out_open(self) -> ShardWorkResult:
        result = ShardWorkResult()
        waiting = self._control.state.open_for(self._owned.shards)
        self._answered.intersection_update([open_request.offset for open_request in waiting])
        for open_request in waiting:
            if open_request.offset not in self._answered:
                result = result.and_then(self._carry_out(open_request))
        return result

    def _carry_out(self, open_request: RequestState) -> ShardWorkResult:
        result = self._owned.apply_appended()
        partition = open_request.request.shard
        shard = self._owned.shards.get(partition)
        if shard is None:
            return result
        refused = ""
        if shard.source.next_control <= open_request.offset:
            found = self._bounds(open_request.request, shard)
            refused = self._refusal(open_request.request, shard, found)
            if isinstance(open_request.request, Refold) and not refused:
                result = result.and_then(self._owned.refold(partition))
                if partition in result.lost:
                    return result  # its next owner finds the request open
                shard = self._owned.shards[partition]
                self._announce([partition])
            result = result.and_then(self._append(open_request, shard, found, refused))
            if partition in result.lost:
                return result
        self._answer(open_request, shard, refused)
        if isinstance(open_request.request, Snapshot) and not refused:
            self._snapshots.begin(partition)
        if isinstance(open_request.request, Reset | Resume) and shard.source.reads:
            result.seek[partition] = shard.next_offset
        return result

    def _append(
        self, open_request: RequestState, shard: Shard, found: SourceBounds | None, refused: str
    ) -> ShardWorkResult:
        # A refusal is appended, too, without a change: only the owner may refuse.
        source, lost, request = shard.source, 0, open_request.request
        if not refused:
            source = apply_request(open_request, source, found.topic if found else "")
            if isinstance(request, Reset) and found is not None:
                lost = count_lost(position_of(shard.source), found, request.to_offset)
                shard.note_topic(found.topic)
        failpoints.reach(failpoints.REQUEST_READ)
        delta = shard.append_source(source, now_ms(), lost)
        failpoints.when_acknowledged([delta.appending], failpoints.REQUEST_APPENDED)
        self._owned.note_appended(open_request.request.shard, delta)
        return self._owned.apply_appended()

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
        """Announce these shards on the control topic; returns the last record's offset."""
        reached = [records.encode_control_record(self._bindings.reached(shard)) for shard in shards]
        return self._log.append(reached).offsets()[-1]

    def _bounds(self, request: Request, shard: Shard) -> SourceBounds | None:
        """What the items topic has of a shard that is to be reset."""
        if not isinstance(request, Reset):
            return None
        return self._sources.bounds({request.shard: shard.next_offset})[request.shard]

    def _refusal(self, request: Request, owned: Shard, found: SourceBounds | None) -> str:
        shard = request.shard
        if isinstance(request, Reset) and found is not None:
            at, accepts = position_of(owned.source), request.accept_loss
            return reset_refusal(shard, request.to_offset, at, found, accept_loss=accepts)
        if isinstance(request, Resume):
            return resume_refusal(shard, owned.source.stopped)
        if isinstance(request, Refold):
            return refold_refusal(shard, self._retained(self._topology.deltas_topic, shard))
        if isinstance(request, Snapshot):
            return self._snapshots.refusal(shard)
        return ""

    def _retained(self, topic: str, partition: int) -> RetainedOffsets:
        place = TopicPartition(topic, partition)
        with self._clients.borrowed_consumer() as consumer:
            return RetainedOffsets(
                f"{topic}/{partition}", consumer.beginning_offsets([place])[place]
            )
