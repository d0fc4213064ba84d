"""Follow the control topic in a thread, and keep its fold up to date."""

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import msgspec
import structlog
from kafka.errors import KafkaTimeoutError

from kae.streams.control import records
from kae.streams.control.records import ControlRecord
from kae.streams.kafka.log import KafkaLog

log = structlog.get_logger()
# How long `wait_for` waits between two records.
SILENCE_SECONDS = 30.0


class ControlFold(Protocol):
    """A fold of the control topic."""

    def apply(self, offset: int, record: ControlRecord) -> bool:
        """Fold one record; returns whether the follower's owner has to know."""
        ...


F = TypeVar("F", bound=ControlFold)


class ControlFollower(Generic[F]):
    """Reads the topic from its beginning; `state` is the fold so far."""

    def __init__(self, log: KafkaLog, state: F) -> None:
        self.state = state
        self._log = log
        self._next_offset = 0
        self._advanced = threading.Condition()
        self._stopping = threading.Event()

    def start(
        self, on_change: Callable[[], object], on_error: Callable[[BaseException], None]
    ) -> None:
        """Start the thread, which makes the calls."""
        self._thread = threading.Thread(
            target=self._run, args=(on_change, on_error), name="control", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def wait_for(self, offset: int) -> None:
        """Wait until the record at `offset`, which is known to exist, is folded.

        Raises: KafkaTimeoutError when no record comes for SILENCE_SECONDS.
        """
        with self._advanced:
            while self._next_offset <= offset:
                if not self._advanced.wait(SILENCE_SECONDS):
                    raise KafkaTimeoutError(
                        f"{self._log.name}: no record came for {SILENCE_SECONDS:g} s at offset "
                        f"{self._next_offset}; the record at offset {offset} is waited for. See "
                        "that every Kafka broker runs"
                    )

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
        """Fold one record; whether the state has changed."""
        has_changed = False
        try:
            has_changed = self.state.apply(offset, records.decode_control_record(payload))
        except msgspec.DecodeError as error:
            # Anybody may write here, a newer kae too: such records must not stop the reader.
            log.warning("control_record_passed_over", offset=offset, error=str(error))
        with self._advanced:
            self._next_offset = offset + 1
            self._advanced.notify_all()
        return has_changed
