"""A replica in your own program: it follows the logs in a thread; views by a call, without HTTP.

with Replica.open("topology.yaml") as replica:
    replica.wait_for(term="quietcore", revision=1)
    allowed = replica.decode().mask(prefixes)
"""

import os
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import structlog

from kae.encoders.text.normal_form import normalise
from kae.streams.errors import ReplicaEnded, ReplicaTimedOut, TermRefused
from kae.streams.generations.opening import ReplicaStart, open_serving
from kae.streams.local_run import open_topology
from kae.streams.replica.decode import Decode
from kae.streams.replica.freshness import FreshnessGauge
from kae.streams.replica.generation_switch import GenerationSwitch
from kae.streams.replica.receipts import has_reached, receipt_of
from kae.streams.replica.view import View
from kae.streams.runtime.folders import hold_folder
from kae.streams.topology.types import Topology

log = structlog.get_logger()


class Replica:
    """Read-only state that follows the logs. Its methods may be called from any thread.

    Views and decodes are of the generation that serves; those in use stay valid when another
    generation takes over.
    """

    def __init__(self, topology: Topology, start: ReplicaStart, data: Path, name: str) -> None:
        """Start to follow; programs call `open`."""
        self._ended = False
        self._failure: BaseException | None = None
        self._closing = ExitStack()
        self._drain_seconds = topology.kafka.request_timeout_seconds
        self._switch = GenerationSwitch(topology, start, data, name, self._end)
        self._switch.start()

    @classmethod
    def open(
        cls,
        topology: Topology | Path | str | None = None,
        *,
        data: Path | str | None = None,
        bootstrap: str | None = None,
        name: str | None = None,
        within_seconds: float = 60.0,
    ) -> Self:
        """Follow the logs of a topology; returns when a view holds all that they held.

        Without a topology it is the one that commands would use here. `data` is a folder for
        scratch stores, emptied at the start; else a temporary one. It writes leases as `name`, and
        receipts count it like any other replica.
        Raises: ReplicaTimedOut, ReplicaEnded; TopologyInvalid, CodebookInvalid, CodebookDiffers,
        TopicDiffers, KafkaUnreachable, StoreFolderUnusable, StoreUnusable, DiskFull.
        """
        opened = _opened(topology, bootstrap)
        start = open_serving(opened)
        with ExitStack() as stack:
            scratch = data or stack.enter_context(
                tempfile.TemporaryDirectory(prefix="kae-replica-")
            )
            stack.enter_context(hold_folder(Path(scratch), "replica"))
            own_name = name or f"{socket.gethostname()}-{os.getpid()}"
            replica = cls(opened, start, Path(scratch), own_name)
            stack.callback(replica._stop)
            replica._wait(
                "a view of all that the logs held", within_seconds, replica._has_caught_up
            )
            replica._closing = stack.pop_all()
        return replica

    def view(self) -> View:
        """The view that is in use now; it never changes. Not to be used after `close`."""
        return self._switch.current.view()

    def decode(self) -> Decode:
        """What a model may emit, all from the view that is in use now."""
        current = self._switch.current
        return Decode(current.view(), current.codebook)

    def wait_for(
        self,
        *,
        term: str | None = None,
        item: str | None = None,
        revision: int = 0,
        versions: Sequence[int] | None = None,
        within_seconds: float = 10.0,
    ) -> View:
        """Wait for a term, an item, or versions of the shards' logs; returns a view that has them.

        Of a term or an item it waits for this revision or a later one. A view has a term when the
        mask allows a path to it, or when it is attached everywhere and to no item; a release, when
        all live replicas have applied it. A view has an item when it has its drop, too.
        Raises: ReplicaTimedOut (a TimeoutError), ReplicaEnded, TermRefused.
        """
        if sum(wanted is not None for wanted in (term, item, versions)) != 1:
            raise TypeError("wait_for: give one of term, item and versions")
        if term is not None:
            wanted = f"revision {revision} of term {term!r}"
            return self._wait(wanted, within_seconds, self._has_term(normalise(term), revision))
        if item is not None:
            wanted = f"revision {revision} of item {item!r}"
            return self._wait(wanted, within_seconds, _has_item(item, revision))
        wanted_versions = tuple(versions or ())
        shards = len(self.view().shards)
        if len(wanted_versions) != shards:
            raise ValueError(
                f"wait_for: {len(wanted_versions)} versions given, there are {shards} shards; give "
                "one for each"
            )
        wanted = f"versions {wanted_versions}"
        return self._wait(wanted, within_seconds, _has_versions(wanted_versions))

    def close(self) -> None:
        """Stop following and close the stores; no view may be in use any more.

        Raises: ReplicaEnded if it had stopped following the logs because of an error.
        """
        self._closing.close()
        self._refuse_failed()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            # The program should see its own error, not the replica's.
            self._closing.close()

    def _wait(self, wanted: str, seconds: float, holds: Callable[[View], bool]) -> View:
        deadline = time.monotonic() + seconds
        while True:
            count = self._switch.notifier.count
            self._refuse_failed()
            if self._ended:
                raise ReplicaEnded(f"replica {self._name}: closed, and {wanted} did not come")
            view = self.view()
            if holds(view):
                return view
            left = deadline - time.monotonic()
            if left <= 0:
                reasons = "; ".join(self._gauge.reading(time.monotonic()).reasons)
                raise ReplicaTimedOut(
                    f"replica {self._name}: {wanted} did not come within {seconds:g} s; its "
                    f"view has shards at versions {view.versions}, bindings at "
                    f"{view.bindings.version}, {view.items} items"
                    f"{'; ' + reasons if reasons else ''}. See that it was published and that "
                    "workers run (kae status), or wait longer"
                )
            self._switch.notifier.block_beyond(count, left)

    def _has_term(self, term: str, revision: int) -> Callable[[View], bool]:
        def holds(view: View) -> bool:
            replica = self._switch.serving.replicas.get(view.generation)
            if replica is None:
                return False  # dropped since; the next view is of another generation
            receipt = receipt_of(term, view, replica.index.term_progress, replica.live_leases())
            refused = receipt.refused if receipt else None
            if refused is not None and refused.revision == revision:
                raise TermRefused(f"term {term!r}, revision {revision}: {refused.cause}")
            return has_reached(receipt, revision, "decodable")

        return holds

    def _has_caught_up(self, _view: View) -> bool:
        return self._gauge.reading(time.monotonic()).age_seconds is not None

    @property
    def _gauge(self) -> FreshnessGauge:
        return self._switch.current.gauge

    @property
    def _name(self) -> str:
        return self._switch.name

    def _refuse_failed(self) -> None:
        if self._failure is not None:
            raise ReplicaEnded(
                f"replica {self._name}: cannot follow the logs any more: "
                f"{type(self._failure).__name__}: {self._failure}. "
                "Correct the cause and open it anew"
            ) from self._failure

    def _end(self, error: BaseException | None) -> None:
        """Called when following ends, from that thread; the first error is kept."""
        self._failure = self._failure or error
        self._ended = True
        self._switch.notifier.notify()

    def _stop(self) -> None:
        if not self._switch.close(self._drain_seconds):
            log.warning("replica_still_waits", replica=self._name)


def _opened(topology: Topology | Path | str | None, bootstrap: str | None) -> Topology:
    if not isinstance(topology, Topology):
        return open_topology(Path(topology) if topology is not None else None, bootstrap)
    return topology.edited({"kafka.bootstrap": bootstrap}) if bootstrap else topology


def _has_item(item: str, revision: int) -> Callable[[View], bool]:
    def holds(view: View) -> bool:
        found = view.item(item)
        return found is not None and found.revision >= revision

    return holds


def _has_versions(versions: Sequence[int]) -> Callable[[View], bool]:
    return lambda view: all(
        has >= wanted for has, wanted in zip(view.versions, versions, strict=True)
    )
