"""Succession: which generations a replica follows, and from which of them it answers.

A thread opens what is announced, lets go of what is dropped, and switches once its view of the
generation that is to serve covers the cut-over. Until then the one before goes on answering.
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
from kae.streams.generations.opening import Beginning, Opened, open_generation
from kae.streams.kafka.log import KafkaClients
from kae.streams.replica.generation import (
    DRAIN_SECONDS,
    GenerationParts,
    GenerationReplica,
    Serving,
)
from kae.streams.replica.notifier import ViewNotifier
from kae.streams.replica.readings import note_view
from kae.streams.replica.shared_views import SharedFolder
from kae.streams.replica.view import View
from kae.streams.telemetry.meters import Meters
from kae.streams.topology.types import Topology

log = structlog.get_logger()


class GenerationSwitch:
    """All that a replica follows."""

    def __init__(
        self,
        topology: Topology,
        beginning: Beginning,
        data: Path,
        name: str,
        on_end: Callable[[BaseException | None], None],
        share: SharedFolder | None = None,
    ) -> None:
        """Begin with the generation that serves; `start` follows it, and the others.

        The views that answer are laid in `share`, too. `on_end` is called when the logs of the
        generation that answers, or the control topic, cannot be followed any more; and with None
        after `close`.
        Raises: StoreUnusable, DiskFull, KafkaUnreachable.
        """
        self.name = name
        self.meters = Meters("replica")
        self.bell = ViewNotifier()
        self._topology = topology
        self._data = data
        self._on_end = on_end
        self._share = share
        self._clients = KafkaClients.of(
            topology,
            f"{name}-control",
            timeout_seconds=topology.kafka.delivery_timeout_seconds,
            max_bytes=topology.limits.delta_bytes,
        )
        # Followers that have ended with an error: they are told of by their own threads.
        self._failed: deque[tuple[int, BaseException]] = deque()
        self._tried: dict[int, Announced | None] = {}
        self._stirred = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="succession", daemon=True)
        book = beginning.book
        first = self._parts(beginning.first)
        self._followed: dict[int, GenerationParts] = {first.line.generation: first}
        self._control = ControlFollower(
            self._clients.log(topology.control_topic, 0), book, self._stirred.set, on_end
        )
        self.serving = Serving(first.line, book)

    @property
    def line(self) -> GenerationReplica:
        """The line that answers now."""
        return self.serving.line

    def start(self) -> None:
        for parts in self._followed.values():
            parts.follower.start()
        self._control.start()
        self._stirred.set()
        self._thread.start()

    def close(self, within_seconds: float = DRAIN_SECONDS) -> bool:
        """Stop following and close the stores; whether all ended in time."""
        self._stopping.set()
        self._stirred.set()
        self._thread.join()
        self._control.stop()
        ended = [parts.close(within_seconds) for parts in self._followed.values()]
        self._clients.close()
        return all(ended)

    # What the control topic says.

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._stirred.wait()
                self._stirred.clear()
                self._note_failures()
                self._follow_all()
                self._let_go()
                self._switch()
        except BaseException as error:
            self._on_end(error)

    def _follow_all(self) -> None:
        for generation in self._book.followed:
            announced = self._book.announced.get(generation)
            # What failed is tried again when it is announced again: its codebook may lie elsewhere.
            is_new = self._tried.get(generation) is not announced
            if self._stopping.is_set() or generation in self._followed:
                continue
            if generation in self.serving.problems and not is_new:
                continue
            self._tried[generation] = announced
            try:
                parts = self._parts(open_generation(self._topology, self._book, generation))
            except Exception as error:
                # What answers goes on; the others, and `kae generation list`, are told why.
                self._note_problem(generation, error)
                continue
            self._followed[generation] = parts
            self.serving.add(parts.line)
            parts.follower.start()
            log.info("generation_followed", replica=self.name, generation=generation)

    def _let_go(self) -> None:
        for generation in self._book.dropped & self._followed.keys():
            if generation == self.line.generation:
                continue
            self.serving.remove(generation)
            self._followed.pop(generation).let_go()
            log.info("generation_let_go", replica=self.name, generation=generation)

    def _switch(self) -> None:
        made, before = self._book.made, self.line
        if made is None or made.cutover.generation == before.generation:
            return
        line = self.serving.lines.get(made.cutover.generation)
        if line is None or not (line.index.hears and covers(line.index.view, made.cutover)):
            return
        self.serving.switch(line.generation)
        for generation in (before.generation, line.generation):
            self._followed[generation].follower.tell_soon()
        self.bell.ring()
        self._lay(line.index.view)
        log.info(
            "generation_switched",
            replica=self.name,
            generation=line.generation,
            previous=before.generation,
            cutover=made.offset,
        )
        self._stirred.set()  # the one before may be dropped by now

    @property
    def _book(self) -> GenerationState:
        return self._control.book

    # One generation.

    def _parts(self, opened: Opened) -> GenerationParts:
        generation = opened.topology.generation
        parts = GenerationParts(
            opened.topology,
            opened.codebook,
            self._data,
            self.name,
            self.bell,
            serves=lambda: self.line.generation == generation,
            on_view=lambda view, caught_up: self._note_view(generation, view, caught_up),
            on_end=lambda error: self._ended(generation, error),
        )
        parts.line.gauge.on_complete = lambda asked_at: self._note_complete(generation, asked_at)
        return parts

    def _note_view(self, generation: int, view: View, caught_up: bool) -> None:
        if generation == self.line.generation:
            note_view(self.meters, view, caught_up=caught_up)
            self._lay(view)
        elif generation == self._book.serving:
            self._stirred.set()

    def _lay(self, view: View) -> None:
        if self._share is not None and self._share.has_begun:
            self._share.lay(view, self.serving.lines[view.generation].codebook)

    def _note_complete(self, generation: int, asked_at: float) -> None:
        line = self.line
        if self._share is None or generation != line.generation:
            return
        if not self._share.has_begun:
            self._share.begin(line.index.view, line.codebook)
        self._share.note_complete(now_ms() - round((time.monotonic() - asked_at) * 1000))

    def _ended(self, generation: int, error: BaseException | None) -> None:
        """A follower's last call. One that does not answer takes nothing down with it."""
        if generation == self.line.generation:
            self._on_end(error)
        elif error is not None:
            self._failed.append((generation, error))
            self._stirred.set()

    def _note_failures(self) -> None:
        while self._failed:
            generation, error = self._failed.popleft()
            parts = self._followed.pop(generation, None)
            if parts is not None and generation not in self._book.dropped:
                self._note_problem(generation, error)
            if parts is not None:
                parts.let_go()

    def _note_problem(self, generation: int, error: BaseException) -> None:
        told = f"{type(error).__name__}: {error}"
        self.serving.remove(generation, told)
        log.error("generation_not_followed", generation=generation, error=told)


def covers(view: View, cutover: Cutover) -> bool:
    """Whether a view holds all that the generation before had been given by the cut-over."""
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
