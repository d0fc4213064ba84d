"""Which generations a replica follows, and from which of them it answers.

A thread follows what is announced, stops following what is dropped, and switches to the generation
that is to serve once its view covers the cut-over. Until then the previous one answers.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import structlog

from kae.streams.clock import now_ms
from kae.streams.control.follower import ControlFollower
from kae.streams.control.records import Announced, Cutover
from kae.streams.control.state import GenerationState
from kae.streams.generations.opening import OpenedGeneration, ReplicaStart, open_generation
from kae.streams.kafka.log import KafkaClients
from kae.streams.replica.generation import (
    DRAIN_SECONDS,
    FollowedGeneration,
    GenerationReplica,
    Serving,
)
from kae.streams.replica.notifier import ViewNotifier
from kae.streams.replica.readings import observe_view
from kae.streams.replica.shared_views_writer import SharedViewsWriter
from kae.streams.replica.view import View
from kae.streams.telemetry.registry import MetricRegistry
from kae.streams.topology.types import Topology

log = structlog.get_logger()


class GenerationSwitch:
    """All that a replica follows; it listens to the follower of each generation."""

    def __init__(
        self,
        topology: Topology,
        start: ReplicaStart,
        data: Path,
        name: str,
        on_end: Callable[[BaseException | None], None],
        shared: SharedViewsWriter | None = None,
    ) -> None:
        """Open the generation that serves; `start` follows it and the others.

        The views that answer are written to `shared` too. `on_end` is called with the error when
        the logs of the generation that answers, or the control topic, cannot be followed any more;
        and with None after `close`.
        Raises: StoreUnusable, DiskFull, KafkaUnreachable.
        """
        self.name = name
        self.registry = MetricRegistry("replica")
        self.notifier = ViewNotifier()
        self._topology = topology
        self._data = data
        self._on_end = on_end
        self._shared = shared
        self._clients = KafkaClients.for_writing(topology, f"{name}-control")
        # Followers that ended with an error; their own threads add them.
        self._failed: deque[tuple[int, BaseException]] = deque()
        self._tried: dict[int, Announced | None] = {}
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="generations", daemon=True)
        state = start.state
        first = self._open(start.first)
        self._followed: dict[int, FollowedGeneration] = {first.replica.generation: first}
        self._control = ControlFollower(self._clients.log(topology.control_topic, 0), state)
        self.serving = Serving(first.replica, state)

    @property
    def current(self) -> GenerationReplica:
        """The generation that answers now."""
        return self.serving.current

    def start(self) -> None:
        for followed in self._followed.values():
            followed.follower.start()
        self._control.start(self._woken.set, self._on_end)
        self._woken.set()
        self._thread.start()

    def close(self, within_seconds: float = DRAIN_SECONDS) -> bool:
        """Stop following and close the stores; whether all ended in time."""
        self._stopping.set()
        self._woken.set()
        self._thread.join()
        self._control.stop()
        ended = [followed.close(within_seconds) for followed in self._followed.values()]
        self._clients.close()
        return all(ended)

    # What the control topic asks for.

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._woken.wait()
                self._woken.clear()
                self._remove_failed()
                self._follow_announced()
                self._retire_dropped()
                self._switch()
        except BaseException as error:
            self._on_end(error)

    def _follow_announced(self) -> None:
        for generation in self._state.followed:
            announced = self._state.announced.get(generation)
            # What failed is tried again when it is announced again: its codebook may lie elsewhere.
            is_new = self._tried.get(generation) is not announced
            if self._stopping.is_set() or generation in self._followed:
                continue
            if generation in self.serving.problems and not is_new:
                continue
            self._tried[generation] = announced
            try:
                followed = self._open(open_generation(self._topology, self._state, generation))
            except Exception as error:
                # The generation that answers goes on; `kae generation list` shows the problem.
                self._add_problem(generation, error)
                continue
            self._followed[generation] = followed
            self.serving.add(followed.replica)
            followed.follower.start()
            log.info("generation_followed", replica=self.name, generation=generation)

    def _retire_dropped(self) -> None:
        for generation in self._state.dropped & self._followed.keys():
            if generation == self.current.generation:
                continue
            self.serving.remove(generation)
            self._followed.pop(generation).retire()
            log.info("generation_retired", replica=self.name, generation=generation)

    def _switch(self) -> None:
        cutover, previous = self._state.cutover, self.current
        if cutover is None or cutover.record.generation == previous.generation:
            return
        wanted = self.serving.replicas.get(cutover.record.generation)
        if wanted is None or not wanted.index.postings_ready:
            return
        if not covers(wanted.index.view, cutover.record):
            return
        self.serving.switch(wanted.generation)
        for generation in (previous.generation, wanted.generation):
            self._followed[generation].follower.renew_lease()
        self.notifier.notify()
        self._share(wanted.index.view)
        log.info(
            "generation_switched",
            replica=self.name,
            generation=wanted.generation,
            previous=previous.generation,
            cutover=cutover.offset,
        )
        self._woken.set()  # the previous one may be dropped by now

    @property
    def _state(self) -> GenerationState:
        return self._control.state

    def _open(self, opened: OpenedGeneration) -> FollowedGeneration:
        return FollowedGeneration(opened, self._data, self.name, self.notifier, self)

    # What the followers tell, each from its own thread.

    def is_serving(self, generation: int) -> bool:
        return generation == self.current.generation

    def view_swapped(self, view: View, *, caught_up: bool) -> None:
        if self.is_serving(view.generation):
            observe_view(self.registry, view, caught_up=caught_up)
            self._share(view)
        elif view.generation == self._state.serving:
            self._woken.set()

    def view_complete(self, generation: int, asked_at: float) -> None:
        current = self.current
        if self._shared is None or generation != current.generation:
            return
        if not self._shared.has_started:
            self._shared.start(current.index.view, current.codebook)
        self._shared.mark_complete(now_ms() - round((time.monotonic() - asked_at) * 1000))

    def follower_ended(self, generation: int, error: BaseException | None) -> None:
        """End the replica only if the generation that answers is not followed any more."""
        if self.is_serving(generation):
            self._on_end(error)
        elif error is not None:
            self._failed.append((generation, error))
            self._woken.set()

    def _share(self, view: View) -> None:
        if self._shared is not None and self._shared.has_started:
            self._shared.write(view, self.serving.replicas[view.generation].codebook)

    def _remove_failed(self) -> None:
        while self._failed:
            generation, error = self._failed.popleft()
            followed = self._followed.pop(generation, None)
            if followed is not None and generation not in self._state.dropped:
                self._add_problem(generation, error)
            if followed is not None:
                followed.retire()

    def _add_problem(self, generation: int, error: BaseException) -> None:
        problem = f"{type(error).__name__}: {error}"
        self.serving.remove(generation, problem)
        log.error("generation_not_followed", generation=generation, error=problem)


def covers(view: View, cutover: Cutover) -> bool:
    """Whether a view holds all that the previous generation had read by the cut-over."""
    bindings = view.bindings
    return (
        len(view.shards) == len(cutover.items)
        and bindings.source.next_offset >= cutover.terms
        and all(
            reader.state.source.next_offset >= wanted
            and reader.state.source.bindings_version >= bindings.version
            for reader, wanted in zip(view.shards, cutover.items, strict=True)
        )
    )
