"""The bindings as a worker follows them, and their way into its shards."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from kae.encoders.selector import CompiledSelector, compile_selector
from kae.encoders.text.search_form import SearchForm
from kae.sinks.log.fold import LogState, fold
from kae.sinks.log.protocol import LOG_ENDED_REMEDY, LogEnded, refuse_gap
from kae.sinks.store.rocks import StoreUnusable
from kae.sinks.terms.bindings import Bindings
from kae.streams.clock import now_ms
from kae.streams.control.records import Reached, send_reached
from kae.streams.kafka.log import KafkaClients, KafkaLog
from kae.streams.topology.types import Topology
from kae.streams.worker.ownership import OwnedShards, ShardWorkResult

# A version that exists comes within this time.
WAIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class BindingsView:
    """One version of the bindings with their compiled selectors; immutable."""

    bindings: Bindings = field(default_factory=Bindings)
    selectors: dict[int, CompiledSelector] = field(default_factory=dict)


class BindingsFollower:
    """Folds the bindings log in a thread; `view` is the newest version."""

    def __init__(self, log: KafkaLog, form: SearchForm) -> None:
        """`form`: how the items are read."""
        self.view = BindingsView()
        self._log = log
        self._form = form
        self._state = LogState()
        self._advanced = threading.Condition()
        self._stopping = threading.Event()

    def start(
        self, on_change: Callable[[], object], on_error: Callable[[BaseException], None]
    ) -> None:
        """Start the thread, which makes the calls."""
        self._thread = threading.Thread(
            target=self._run, args=(on_change, on_error), name="bindings", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def at_least(self, version: int) -> BindingsView:
        """Wait until a version that is known to exist, or a newer one, is folded.

        Raises: LogEnded.
        """
        with self._advanced:
            if not self._advanced.wait_for(
                lambda: self.view.bindings.version >= version, WAIT_SECONDS
            ):
                raise LogEnded(
                    f"{self._log.name} ends at version {self.view.bindings.version}, and a shard "
                    f"has version {version}, which did not come in {WAIT_SECONDS:g} s: another "
                    f"topic, or one that lost its end. {LOG_ENDED_REMEDY}"
                )
            return self.view

    def _run(
        self, on_change: Callable[[], object], on_error: Callable[[BaseException], None]
    ) -> None:
        try:
            for offset, payload in self._log.read(0):
                if self._stopping.is_set():
                    return
                if offset >= 0 and self._fold(offset, payload):
                    on_change()
        except BaseException as error:
            on_error(error)

    def _fold(self, offset: int, payload: bytes) -> bool:
        """Fold a record; whether there is a new view."""
        refuse_gap(self._log.name, self._state.next_offset, offset)
        folded = fold(self._state, offset, payload)
        self._state = folded.state
        if folded.delta is None:
            return False
        bindings = self.view.bindings.copy()
        bindings.apply(folded.delta, folded.state)
        selectors = {
            binding: self.view.selectors.get(binding)
            or compile_selector(bound.selector, self._form)
            for binding, bound in bindings.bound.items()
        }
        # A shard may still have a binding attached that is released already.
        for binding in bindings.quarantined:
            if binding in self.view.selectors:
                selectors[binding] = self.view.selectors[binding]
        with self._advanced:
            self.view = BindingsView(bindings, selectors)
            self._advanced.notify_all()
        return True


class BindingsApplier:
    """Brings the newest bindings to the shards that this worker owns; for the shard thread."""

    def __init__(
        self,
        topology: Topology,
        clients: KafkaClients,
        follower: BindingsFollower,
        owned: OwnedShards,
    ) -> None:
        self._topology = topology
        self._clients = clients
        self._follower = follower
        self._owned = owned

    def apply(self) -> ShardWorkResult:
        """Append the newest version to every shard that lacks it, and apply it there.

        A shard without an item of a new binding gets it, too: the binding waits for every shard.
        """
        before = self._owned.apply_appended()
        view, changed = self._follower.view, []
        for partition, shard in list(self._owned.shards.items()):
            try:
                delta = shard.append_bindings(view.bindings, view.selectors, now_ms())
            except StoreUnusable as error:
                before = before.and_then(self._owned.give_up(partition, error))
                continue
            if delta is not None:
                self._owned.note_appended(partition, delta)
                changed.append(partition)
        applied = self._owned.apply_appended()
        for partition in changed:
            if partition not in applied.lost:
                topic = self._topology.control_topic
                send_reached(self._clients.producer, topic, self.reached(partition))
        return before.and_then(applied)

    def reached(self, partition: int) -> Reached:
        """The record that announces which bindings an open shard has."""
        # A shard that has just been opened may have a version that the follower has not read yet.
        bindings = self._follower.at_least(self._owned.shards[partition].source.bindings_version)
        return self._owned.reached(partition, sorted(bindings.bindings.pending_with_plan()))
