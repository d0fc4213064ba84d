"""Ask several who may not answer, and go on without the answer."""

from collections.abc import Callable
from typing import TypeVar

from kafka.errors import KafkaError

from kae.sinks.log.protocol import LogTruncated
from kae.streams.errors import KaeError

T = TypeVar("T")


def ask(unasked: list[str], question: Callable[[], T]) -> T | None:
    """The answer; None if there is none, and `unasked` gets the reason, a sentence."""
    try:
        return question()
    except (KaeError, LogTruncated) as error:
        reason = str(error)
    except KafkaError as error:
        reason = f"Kafka does not answer: {error!r}; see that its brokers run, then ask again"
    if reason not in unasked:
        unasked.append(reason)
    return None
