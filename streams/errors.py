"""What can go wrong for a caller, as a tree.

KaeError
  TopologyInvalid     the topology file cannot be run: lines and remedies (topology_problems.py)
  LocalRunInvalid     .kae/local.json is not what `kae demo run --keep` writes (local_run.py)
  CatalogInvalid      a feed file cannot be read, or lacks a column that topology.yaml names
  RowsRejected        some rows of a feed are not items; they are written down, with reasons
  ItemsInvalid        a file of items cannot be read or written, or a line of it is no item
  ProgressInvalid     the progress of an ingest cannot be read or written (ingest_progress.py)
  KafkaUnreachable    no broker answers, or none in time
  KafkaRefused        the brokers do not know who asks, or do not allow it
  CredentialsUnusable what kafka.security names cannot be read, or is empty
  TopicDiffers        a topic exists and is not what the topology says
  TopicRefused        the brokers do not create a topic: their reason
  CodebookDiffers     the codebook was built with other groups or fields than topology.yaml has,
                      or the logs were begun with another one
  VocabularyDiffers   the vocabulary was fitted with other fields than topology.yaml has
  StoreFolderUnusable the folder of the stores is held by another process, or cannot be written
  AddressRefused      a replica cannot listen where it should answer
  ReplicaUnreachable  no replica answers where one was looked for
  ReplicaRefused      a replica answers that it cannot
  ReplicaEnded        a replica in this process follows the logs no more
  ReplicaTimedOut     what was waited for has not come to a replica in this process
  ItemUnknown         the log of an item's shard had no event of it by the time that was asked for
  TermRefused         a term event was refused; the message is the cause
  TermTimedOut        a term has not come as far as was waited for
  UsersInvalid        the file of the console's users is none, or a user cannot be written to it
  ConsoleUnguarded    a console would answer beyond this machine to whoever asks
  DeadLetterUnknown   there is no dead letter at the given place
  RepairInvalid       a repaired event is none, or would die again
  ReplayRefused       dead letters were not sent again; the message says which and why
  ShardUnknown        a shard was named that the topology does not have
  ShardRefused        what was asked of a shard cannot be done; the message says why, and what can
  ShardTimedOut       what was asked of a shard has no answer yet
  SnapshotsOff        the topology keeps no snapshots
  SnapshotsBroken     some snapshots are not what was written; the message names the files
  SnapshotFailed      a snapshot that was asked for did not come about, or not in time
  GenerationUnusable  a generation cannot be followed: unknown, or its codebook is elsewhere
  GenerationRefused   what was asked of a generation would harm; the message says how
  GenerationTimedOut  some replicas do not answer from the generation yet that was asked for
  BackfillDiffers     a backfill that was cut short is not the one that is asked for
  BackfillFailed      a worker of a backfill failed; what was finished is kept
  GenerationBegun     the logs of a generation hold what the backfill did not write
  AsOfGone            the items topic no longer holds what came since a dump
  ParityBroken        two generations over one input are not the same
  LogsDiffer          a replica is not what its logs say
  NotInstalled        a command needs an extra that is not installed
  ContractUnknown     a contract was asked for by a name that none has
  ContractsUnwritable the contracts cannot be written to a folder

What an error says: what, where, the value, and what to do next.
"""


class KaeError(Exception):
    """An expected error: the command line prints it in one line and exits with 1."""


class CatalogInvalid(KaeError, ValueError):
    """A feed file cannot be read, or lacks a column that topology.yaml names."""


class ItemsInvalid(KaeError, ValueError):
    """A file of items cannot be read or written, or a line of it is no item."""


class RowsRejected(KaeError):
    """Some rows of a feed are not items."""


class KafkaUnreachable(KaeError, ConnectionError):
    """No broker answers, or none in time."""


class KafkaRefused(KaeError):
    """The brokers do not know who asks, or do not allow it."""


class CredentialsUnusable(KaeError):
    """What kafka.security names cannot be read, or is empty."""


class TopicDiffers(KaeError):
    """A topic exists and is not what the topology says."""


class TopicRefused(KaeError):
    """The brokers do not create a topic."""


class CodebookDiffers(KaeError):
    """The codebook is not the topology's, or not the logs'."""


class VocabularyDiffers(KaeError):
    """The vocabulary was fitted with other fields than topology.yaml has."""


class StoreFolderUnusable(KaeError):
    """The folder of the stores is held by another process, or cannot be written."""


class AddressRefused(KaeError):
    """A replica cannot listen where it should answer."""


class ReplicaUnreachable(KaeError, ConnectionError):
    """No replica answers where one was looked for."""


class ReplicaRefused(KaeError):
    """A replica answers that it cannot; `status` is that of its answer."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ReplicaEnded(KaeError):
    """A replica in this process follows the logs no more."""


class NothingShared(KaeError):
    """A folder without a view that can be read: no replica shares its views there."""


class ReplicaTimedOut(KaeError, TimeoutError):
    """What was waited for has not come to a replica in this process, not in time."""


class ItemUnknown(KaeError):
    """The log of an item's shard had no event of it by the time that was asked for."""


class TermRefused(KaeError):
    """A term event was refused."""


class TermTimedOut(KaeError):
    """A term has not come as far as was waited for."""


class UsersInvalid(KaeError, ValueError):
    """The file of the console's users is none, or a user cannot be written to it."""


class ConsoleUnguarded(KaeError):
    """A console would answer beyond this machine to whoever asks."""


class DeadLetterUnknown(KaeError):
    """No dead letter lies at the place that was named."""


class RepairInvalid(KaeError, ValueError):
    """A repaired event is none, or would die again."""


class ReplayRefused(KaeError):
    """Dead letters were not sent again."""


class ShardUnknown(KaeError, ValueError):
    """A shard was named that the topology does not have."""


class ShardRefused(KaeError):
    """What was asked of a shard cannot be done."""


class ShardTimedOut(KaeError):
    """What was asked of a shard has no answer yet."""


class SnapshotsOff(KaeError):
    """The topology keeps no snapshots."""


class SnapshotsBroken(KaeError):
    """Some snapshots are not what was written."""


class SnapshotFailed(KaeError):
    """A snapshot that was asked for did not come about, or not in time."""


class GenerationUnusable(KaeError):
    """A generation cannot be followed here."""


class GenerationRefused(KaeError):
    """What was asked of a generation would harm."""


class GenerationTimedOut(KaeError):
    """Some replicas do not answer from a generation yet."""


class BackfillDiffers(KaeError):
    """A backfill that was cut short is not the one that is asked for."""


class BackfillFailed(KaeError):
    """A worker of a backfill failed."""


class GenerationBegun(KaeError):
    """The logs of a generation hold what the backfill did not write."""


class AsOfGone(KaeError):
    """The items topic no longer holds what came since a dump."""


class ParityBroken(KaeError):
    """Two generations over one input are not the same."""


class LogsDiffer(KaeError):
    """A replica is not what its logs say."""


class NotInstalled(KaeError):
    """A command needs an extra that is not installed."""


class ContractUnknown(KaeError):
    """A contract was asked for by a name that none has."""


class ContractsUnwritable(KaeError):
    """The contracts cannot be written to a folder."""
