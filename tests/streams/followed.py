"""A replica's index that follows real shards and a real registrar over logs in memory."""

from collections.abc import Sequence
from pathlib import Path

from tests.sinks.writers import Writers

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.encoders.selector import Selector
from kae.sinks.log.protocol import MemoryLog
from kae.sinks.log.term_changes import Bind, Release, TermChange
from kae.sinks.store.plan import Change, Delete, Upsert, prepare
from kae.streams.kafka.partitioner import partition_of
from kae.streams.replica.freshness import FreshnessGauge
from kae.streams.replica.index import ReplicaIndex
from kae.streams.replica.leases import Lease, Leases, encode_lease
from kae.streams.replica.notifier import ViewNotifier
from kae.streams.replica.receipts import receipt_of
from kae.streams.replica.search import Search
from kae.streams.replica_api.answers import Hit
from kae.streams.replica_api.terms import Receipt
from kae.streams.topology.types import Topology

SHARDS = 2
MAX_BYTES = 900_000
NAME = "replica-1"


class Followed(Writers):
    """Two shards, a registrar, and one replica that folds what they append when told to."""

    def __init__(self, codebook: Codebook, folder: Path) -> None:
        self.logs = [MemoryLog(f"deltas/{shard}") for shard in range(SHARDS)]
        self.bindings_log = MemoryLog("bindings")
        super().__init__(codebook, self.logs, self.bindings_log, folder, MAX_BYTES)
        self.topology = Topology.load().edited({"shards": SHARDS})
        self.now = 1_000
        self._revision = 0
        self._seconds = 0
        self.shards = [self.open_shard(shard) for shard in range(SHARDS)]
        self.index = ReplicaIndex(self.topology, codebook.fingerprint, folder / "replica")
        self.leases = Leases(self.topology.generation, self.topology.replica.lease_seconds)
        self.gauge = FreshnessGauge(self.topology.replica.fresh_within_seconds)
        self.notifier = ViewNotifier()
        self.searching = Search(codebook, self.topology.replica.beam)

    def close(self) -> None:
        self.index.close()
        for shard in self.shards:
            shard.close()

    def tick(self) -> int:
        """A clock in milliseconds that never says the same twice."""
        self.now += 10
        return self.now

    # What workers do.

    def put(self, items: Sequence[Item]) -> None:
        self._change([Upsert(item.id, self._next(), b"", item) for item in items])

    def drop(self, ids: Sequence[str]) -> None:
        self._change([Delete(item_id, self._next(), b"") for item_id in ids])

    def bind(self, term: str, match: str = "", where: str = "", category: str = "entity") -> int:
        """Register a term, without telling the shards; returns its revision."""
        number = CATEGORY_INDEX[category]
        accepted = self.tick()
        return self.register(
            Bind(
                term=term,
                revision=self._next(),
                aliases=(),
                category=number,
                position=self.codebook.position_of(number),
                selector=Selector(match=match, where=where),
                owner="",
                reason="",
                accepted_ms=accepted,
            )
        )

    def release(self, term: str) -> int:
        return self.register(Release(term, self._next()))

    def register(self, change: TermChange) -> int:
        """Register any change, which a later one here comes after; returns its revision."""
        self._revision = max(self._revision, change.revision)
        plan = self.registrar.plan([change])
        self.registrar.register(plan, 0, self.registrar.next_offset + 1, self.tick())
        return change.revision

    def spread(self, shard: int) -> None:
        """Let one shard attach and detach what the bindings say now."""
        sent = self.append_bindings(self.shards[shard], self.tick())
        if sent is not None:
            sent.apply()

    def spread_all(self) -> None:
        for shard in range(SHARDS):
            self.spread(shard)

    def _next(self) -> int:
        self._revision += 1
        return self._revision

    def _change(self, changes: Sequence[Change]) -> None:
        for number, shard in enumerate(self.shards):
            mine = [change for change in changes if partition_of(change.id, SHARDS) == number]
            prepared = prepare(mine, self.encoder)
            plan = shard.plan_items(prepared, self.selectors())
            shard.append_items(plan, 0, shard.next_offset + len(mine), self.tick()).apply()

    # What the replica does.

    def follow_shard(self, shard: int) -> None:
        for offset in range(self.index.logs[shard].next_offset, len(self.logs[shard].records)):
            self.index.fold_shard(shard, offset, self.logs[shard].records[offset])

    def follow_bindings(self) -> None:
        first = self.index.bindings_log.next_offset
        for offset in range(first, len(self.bindings_log.records)):
            self.index.fold_bindings(offset, self.bindings_log.records[offset])

    def follow(self) -> None:
        """Read every log to its end, put a view in use that has all words, and write the lease."""
        self.follow_bindings()
        for shard in range(SHARDS):
            self.follow_shard(shard)
        self.swap()
        while self.index.is_refreshing:
            self._seconds += 1
            self.index.refresh_postings(self._seconds)
        self.swap()

    def swap(self) -> None:
        view = self.index.swap(self.tick())
        self.lease(
            Lease(view.generation, NAME, view.bindings.version, view.versions, view.swapped_ms)
        )
        # Last: who is woken asks about the lease too.
        self.notifier.notify()

    def lease(self, lease: Lease) -> None:
        self.leases.add(lease.replica.encode(), encode_lease(lease))
        self.index.term_progress.add_leases(self.leases.live(self.now), SHARDS)

    def search(self, query: str, limit: int = 1000) -> list[Hit]:
        return self.searching.answer(self.index.view, query, limit).items

    def receipt(self, term: str) -> Receipt:
        live = self.leases.live(self.now)
        receipt = receipt_of(term, self.index.view, self.index.term_progress, live)
        if receipt is None:
            raise LookupError(term)
        return receipt
