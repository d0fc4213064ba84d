"""Following the control topic: every worker holds its fold, and knows of requests as they come."""

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
# A topic that has more to tell tells it within this time.
SILENCE_SECONDS = 30.0


class ControlFold(Protocol):
    """A fold of the control topic."""

    def enter(self, offset: int, record: ControlRecord) -> bool:
        """Take one record in; whether who holds the book has to know."""
        ...


B = TypeVar("B", bound=ControlFold)


class ControlFollower(Generic[B]):
    """Reads the topic from its beginning, in a thread."""

    def __init__(
        self,
        log: KafkaLog,
        book: B,
        on_news: Callable[[], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self.book = book
        self._log = log
        self._next_offset = 0
        self._on_news = on_news
        self._on_error = on_error
        self._advanced = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def wait_for(self, offset: int) -> None:
        """Wait until the record at `offset`, which is known to exist, is in the book.

        Raises: KafkaTimeoutError when the topic falls silent before it.
        """
        with self._advanced:
            while self._next_offset <= offset:
                if not self._advanced.wait(SILENCE_SECONDS):
                    raise KafkaTimeoutError(
                        f"{self._log.name}: offset {offset} did not come, and nothing else in "
                        f"{SILENCE_SECONDS:g} s; it was read up to {self._next_offset}"
                    )

    def _run(self) -> None:
        try:
            for offset, payload in self._log.read(0):
                if self._stopping.is_set():
                    return
                if offset >= 0:
                    self._enter(offset, payload)
        except BaseException as error:
            self._on_error(error)

    def _enter(self, offset: int, payload: bytes) -> None:
        is_news = False
        try:
            is_news = self.book.enter(offset, records.decode(payload))
        except msgspec.DecodeError as error:
            # Anybody's bytes, or a newer kae's: they must not stop those who read past them.
            log.warning("control_record_passed_over", offset=offset, error=str(error))
        with self._advanced:
            self._next_offset = offset + 1
            self._advanced.notify_all()
        if is_news:
            self._on_news()
