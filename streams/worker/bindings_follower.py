"""Following the bindings log: every worker and every replica holds its fold."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from kae.encoders.selector import CompiledSelector, compile_selector
from kae.sinks.log.fold import LogState, fold
from kae.sinks.log.protocol import refuse_gap
from kae.sinks.terms.bindings import Bindings
from kae.streams.kafka.log import KafkaLog


@dataclass(frozen=True, slots=True)
class BindingsView:
    """One version of the bindings with their compiled selectors; never changed once it is out."""

    bindings: Bindings = field(default_factory=Bindings)
    selectors: dict[int, CompiledSelector] = field(default_factory=dict)


class BindingsFollower:
    """Folds the bindings log in a thread and hands out immutable views."""

    def __init__(
        self,
        log: KafkaLog,
        on_change: Callable[[BindingsView], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self.view = BindingsView()
        self._log = log
        self._state = LogState()
        self._on_change = on_change
        self._on_error = on_error
        self._advanced = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bindings", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def at_least(self, version: int, timeout_seconds: float) -> BindingsView:
        """Wait for a version that is known to exist.

        Raises: TimeoutError.
        """
        with self._advanced:
            if not self._advanced.wait_for(
                lambda: self.view.bindings.version >= version, timeout_seconds
            ):
                raise TimeoutError(
                    f"{self._log.name}: version {version} did not come in {timeout_seconds} s, "
                    f"only {self.view.bindings.version}"
                )
            return self.view

    def _run(self) -> None:
        try:
            self._follow()
        except BaseException as error:
            self._on_error(error)

    def _follow(self) -> None:
        for offset, payload in self._log.read(0):
            if self._stopping.is_set():
                return
            if offset >= 0:
                refuse_gap(self._log.name, self._state.next_offset, offset)
                self._fold(offset, payload)

    def _fold(self, offset: int, payload: bytes) -> None:
        folded = fold(self._state, offset, payload)
        self._state = folded.state
        if folded.delta is None:
            return
        bindings = self.view.bindings.copy()
        bindings.apply(folded.delta, folded.state)
        selectors = {
            binding: self.view.selectors.get(binding) or compile_selector(bound.selector)
            for binding, bound in bindings.bound.items()
        }
        # A binding that was released here may still be attached in a shard for a moment.
        for binding in bindings.quarantined:
            if binding in self.view.selectors:
                selectors[binding] = self.view.selectors[binding]
        with self._advanced:
            self.view = BindingsView(bindings, selectors)
            self._advanced.notify_all()
        self._on_change(self.view)
