"""What went wrong, as a status and a sentence; anything else is a defect, and is logged."""

from kafka.errors import KafkaError

from kae.encoders.selector import Rejected
from kae.sinks.log import LogTruncated
from kae.streams.errors import (
    KafkaUnreachable,
    LetterUnknown,
    ReplicaRefused,
    ReplicaUnreachable,
    TermRefused,
    TopicDiffers,
    UsersInvalid,
)
from kae.streams.web.guard import Refused, SignInFirst

EXPECTED = (
    KafkaError,
    KafkaUnreachable,
    LetterUnknown,
    LogTruncated,
    Refused,
    Rejected,
    ReplicaRefused,
    ReplicaUnreachable,
    SignInFirst,
    TermRefused,
    TopicDiffers,
    UsersInvalid,
)


def problem_of(error: Exception) -> tuple[int, str]:
    """The status and the sentence for an error of those expected."""
    match error:
        case Refused():
            return error.status, error.error
        case SignInFirst():
            return 401, "nobody is signed in; sign in first"
        case TermRefused() | Rejected():
            return 422, str(error)
        case LetterUnknown():
            return 404, str(error)
        case LogTruncated():
            return 410, str(error)
        case ReplicaRefused() if 400 <= error.status < 500:
            return error.status, str(error)
        case ReplicaRefused():
            return 502, str(error)
    return 503, str(error) or type(error).__name__
