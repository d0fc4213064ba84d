"""What every chapter of the demo works with: the running index, its settings, and its result."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from kae.deploy.cluster import Cluster
from kae.deploy.demo_output import DemoOutput
from kae.deploy.processes import Process, ProcessFailed
from kae.sinks.log.edits import Counts
from kae.streams.replica_api.client import ReplicaClient

T = TypeVar("T")

# Either broker may take ten seconds to notice a killed worker; this is far above.
STUCK_SECONDS = 60.0


class DemoFailed(RuntimeError):
    """A step of the demo failed, or something that it claims does not hold."""


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What the demo streams and binds; the command line can change each of them."""

    catalog: tuple[Path, ...]
    items: int  # of the catalog, from its first row
    term: str
    where: str


class CountingReplica(ReplicaClient):
    """The client of the commands, and the event counts of all shards as one sum."""

    def counts(self) -> Counts:
        """What became of the item events, over all shards."""
        shown = (msgspec.structs.astuple(shard.counts) for shard in self.status().shards)
        return sum((Counts(*counts) for counts in shown), start=Counts())


@dataclass(frozen=True, slots=True)
class DemoContext:
    """The running cluster, a client of its replica, the output, and the settings."""

    cluster: Cluster
    replica: CountingReplica
    output: DemoOutput
    settings: DemoSettings

    def publish(self, name: str, *, within_seconds: float | None = None) -> Process:
        """Start `kae catalog ingest`, at full speed or spread over `within_seconds`."""
        items = self.settings.items
        pace = ("--rate", str(max(1.0, items / within_seconds))) if within_seconds else ()
        files = map(str, self.settings.catalog)
        options = ("--limit", str(items), "--restart", "--json", *pace)
        return self.cluster.command(name, "catalog", "ingest", *files, *options)

    def until(self, look: Callable[[], T | None], what: str, pause_seconds: float = 0.05) -> T:
        """Call `look` until it returns something.

        Raises: DemoFailed when that takes too long; ProcessFailed if a process ends meanwhile.
        """
        deadline = time.monotonic() + STUCK_SECONDS
        while (seen := look()) is None:
            self.cluster.check()
            if time.monotonic() > deadline:
                raise DemoFailed(f"waited {STUCK_SECONDS:g} s for {what}, and it did not happen")
            time.sleep(pause_seconds)
        return seen

    def report(self, command: Process) -> dict[str, Any]:
        """The JSON that a started command prints last.

        Raises: ProcessFailed if the command failed.
        """
        if code := command.wait(STUCK_SECONDS):
            raise ProcessFailed(f"{command.name} ended with {code}; {command.last_words()}")
        return command.report()


class TermFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An unknown word that was bound while everything ran, and released again."""

    unreachable_before: bool  # searching it gave no items
    attached_items: int
    time_to_effect_ms: int  # from the event's time to the first search that found an item by it
    reachable: bool
    unreachable_after_release: bool


class DemoFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON that `kae demo run --json` prints; all figures are of this run."""

    items_published: int
    items_indexed: int
    dead_letters: int
    events_per_second: float  # between the first and the last event that the replica applied
    term: TermFacts
    killed_worker_recovered: bool  # every event accounted for, every hash equal, after SIGKILL
    replica_equals_log: bool  # found by another process that folds the log from offset 0

    def broken_claims(self) -> list[str]:
        """The claims that do not hold; empty after a good run."""
        claims = {
            "every published item is indexed": self.items_indexed == self.items_published,
            "no event is a dead letter": self.dead_letters == 0,
            "the word was unknown before": self.term.unreachable_before,
            "the word leads to items": self.term.reachable and self.term.attached_items > 0,
            "the released word leads nowhere": self.term.unreachable_after_release,
            "a killed worker loses nothing": self.killed_worker_recovered,
            "the replica equals the log": self.replica_equals_log,
        }
        return [claim for claim, holds in claims.items() if not holds]
