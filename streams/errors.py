"""The errors that a caller can act on, grouped by what the caller does next.

* KaeError
  x InvalidInput: a file or an event is wrong: correct it
    · TopologyInvalid (topology/problems.py)
    · LocalRunInvalid (local_run.py)
    · CatalogInvalid
    · RowsRejected
    · ItemsInvalid
    · ProgressInvalid (catalog/ingest_progress.py)
    · UsersInvalid
    · RepairInvalid
    · SamplesInvalid
  x NotFound: nothing has that name, or is at that place: give another
    · ItemUnknown
    · DeadLetterUnknown
    · ShardUnknown
    · ContractUnknown
    · NothingShared
    · AsOfGone
  x Unreachable: nothing answers: start it, or correct the address
    · KafkaUnreachable
    · ReplicaUnreachable
  x TimedOut: it did not happen in time: see how far it is, or wait longer
    · ReplicaTimedOut
    · TermTimedOut
    · ShardTimedOut
    · GenerationTimedOut
  x Refused: the answer is no: the message says why, and what is possible
    · KafkaRefused
    · TopicRefused
    · AddressRefused
    · ReplicaRefused
    · TermRefused
    · ConsoleUnguarded
    · ReplayRefused
    · BehaviourKept
    · ShardRefused
    · GenerationRefused
  x Mismatch: two things that must agree do not: change one of them
    · TopicDiffers
    · CodebookDiffers
    · VocabularyDiffers
    · BackfillDiffers
    · ModelDiffers
    · GenerationBegun
    · ParityBroken
    · LogsDiffer
  x Unusable: something that this process needs is missing or held: provide it
    · CredentialsUnusable
    · StoreFolderUnusable
    · GenerationUnusable
    · ContractsUnwritable
    · NotInstalled
    · SnapshotsOff
    · BehavioursOff
    · SnapshotsBroken
  x Interrupted: it broke off: start it again
    · ReplicaEnded
    · SnapshotFailed
    · BackfillFailed

A message says what is wrong, where, the value, and the remedy.
"""


class KaeError(Exception):
    """An expected error: the command line prints it on one line and exits with 1."""


class InvalidInput(KaeError):
    """A file or an event is wrong: correct it."""


class CatalogInvalid(InvalidInput, ValueError):
    """A feed file cannot be read, or lacks a column of topology.yaml."""


class RowsRejected(InvalidInput):
    """Some rows of a feed are not items, or some records of a file no behaviour."""


class ItemsInvalid(InvalidInput, ValueError):
    """A file of items cannot be read or written, or has a line that is no item."""


class UsersInvalid(InvalidInput, ValueError):
    """The file of the console's users cannot be read or written."""


class RepairInvalid(InvalidInput, ValueError):
    """A repaired event is no event, or would fail again."""


class SamplesInvalid(InvalidInput, ValueError):
    """A folder of samples cannot be read or written."""


class NotFound(KaeError):
    """Nothing has that name, or is at that place: give another."""


class ItemUnknown(NotFound):
    """An item had no event in its shard's log by the time asked for."""


class DeadLetterUnknown(NotFound):
    """No dead letter has the given address."""


class ShardUnknown(NotFound, ValueError):
    """The topology does not have the given shard."""


class ContractUnknown(NotFound):
    """No contract has the given name."""


class NothingShared(NotFound):
    """No replica shares a readable view in the given folder."""


class AsOfGone(NotFound):
    """The items topic no longer holds the events since a dump."""


class Unreachable(KaeError):
    """Nothing answers: start it, or correct the address."""


class KafkaUnreachable(Unreachable, ConnectionError):
    """No broker answers in time."""


class ReplicaUnreachable(Unreachable, ConnectionError):
    """No replica answers at the address."""


class TimedOut(KaeError):
    """It did not happen in time: see how far it is, or wait longer."""


class ReplicaTimedOut(TimedOut, TimeoutError):
    """A replica in this process did not reach what was waited for."""


class TermTimedOut(TimedOut):
    """A term did not reach the stage that was waited for."""


class ShardTimedOut(TimedOut):
    """A shard's owner did not answer a request."""


class GenerationTimedOut(TimedOut):
    """Some replicas do not answer from a generation yet."""


class Refused(KaeError):
    """The answer is no: the message says why, and what is possible."""


class KafkaRefused(Refused):
    """The brokers do not know who asks, or do not allow it."""


class TopicRefused(Refused):
    """The brokers do not create a topic."""


class AddressRefused(Refused):
    """A server cannot listen at its address."""


class ReplicaRefused(Refused):
    """A replica answers with an error; `status` is the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class TermRefused(Refused):
    """A term event was refused."""


class ConsoleUnguarded(Refused):
    """A console without users would answer to other machines."""


class BehaviourKept(Refused):
    """Nothing was erased, since nobody could be asked."""


class ReplayRefused(Refused):
    """Dead letters were not replayed."""


class ShardRefused(Refused):
    """A request to a shard cannot be carried out."""


class GenerationRefused(Refused):
    """A change of a generation would do harm."""


class Mismatch(KaeError):
    """Two things that must agree do not: change one of them."""


class TopicDiffers(Mismatch):
    """A topic is not what the topology says."""


class CodebookDiffers(Mismatch):
    """The codebook is not that of the topology or of the logs."""


class VocabularyDiffers(Mismatch):
    """The vocabulary was fitted with other fields than the topology has."""


class BackfillDiffers(Mismatch):
    """An interrupted backfill is not the one asked for."""


class ModelDiffers(Mismatch):
    """A model was trained for other slots than the index has."""


class GenerationBegun(Mismatch):
    """The logs of a generation hold what the backfill did not write."""


class ParityBroken(Mismatch):
    """Two generations of one input are not the same."""


class LogsDiffer(Mismatch):
    """A replica is not what its logs say."""


class Unusable(KaeError):
    """Something that this process needs is missing or held: provide it."""


class CredentialsUnusable(Unusable):
    """A user name, password or key cannot be read, or is empty."""


class StoreFolderUnusable(Unusable):
    """Another process holds the stores' folder, or it cannot be written."""


class GenerationUnusable(Unusable):
    """A generation is unknown, or its codebook is not here."""


class ContractsUnwritable(Unusable):
    """The contracts cannot be written to a folder."""


class NotInstalled(Unusable):
    """A command needs an extra that is not installed."""


class BehavioursOff(Unusable):
    """The topology has no topic for behaviour events."""


class SnapshotsOff(Unusable):
    """The topology keeps no snapshots."""


class SnapshotsBroken(Unusable):
    """Some snapshots are not what was written."""


class Interrupted(KaeError):
    """It broke off: start it again."""


class ReplicaEnded(Interrupted):
    """A replica in this process no longer follows the logs."""


class SnapshotFailed(Interrupted):
    """A requested snapshot was not taken, or not in time."""


class BackfillFailed(Interrupted):
    """A worker of a backfill failed; what it finished is kept."""
