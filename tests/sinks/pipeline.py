"""One shard and one registrar that work through lists of events, for property tests."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.sinks.writers import Writers

from kae.encoders.codebook.codebook import Codebook
from kae.sinks.log.fold import LogState, fold
from kae.sinks.log.ownership import UnappliedDelta
from kae.sinks.log.protocol import Log
from kae.sinks.log.term_changes import TermChange
from kae.sinks.shard import Shard
from kae.sinks.store.plan import Change, prepare
from kae.sinks.store.store import ShardStore
from kae.sinks.terms.registrar import Registrar

MAX_BYTES = 4096  # small, so that many deltas travel in parts


class Pipeline(Writers):
    """Two lists of events, two logs, and whoever owns them at the moment."""

    def __init__(self, codebook: Codebook, deltas: Log, bindings: Log) -> None:
        root = Path(tempfile.mkdtemp(prefix="kae-pipeline-"))
        super().__init__(codebook, [deltas], bindings, root, MAX_BYTES)
        self.items: list[Change | None] = []
        self.terms: list[TermChange] = []
        self._clock = 0
        self._owners = 0
        self.shard = self.open_shard(owner=self.owner)

    @property
    def owner(self) -> str:
        return f"worker-{self._owners}"

    def now(self) -> int:
        self._clock += 1
        return self._clock

    def reopen(self) -> None:
        """The owner begins again with the store that it has."""
        self.shard.close()
        self.shard = self.open_shard(owner=self.owner)

    def pass_on(self) -> Shard:
        """Another owner begins, with an empty store; returns the former, which is open still."""
        former = self.shard
        self._owners += 1
        self.shard = self.open_shard(owner=self.owner)
        return former

    def append_items(self, shard: Shard, limit: int) -> UnappliedDelta | None:
        """What a worker does with the next records: plan and append, not applied yet."""
        first = shard.next_offset
        records = self.items[first : first + limit]
        if not records:
            return None
        prepared = prepare(split_known(records), self.encoder)
        plan = shard.plan_items(prepared, self.selectors())
        dead = sum(change is None for change in records)
        return shard.append_items(plan, dead, first + len(records), self.now())

    def register(self, registrar: Registrar, limit: int) -> None:
        first = registrar.next_offset
        changes = self.terms[first : first + limit]
        if changes:
            registrar.register(registrar.plan(changes), 0, first + len(changes), self.now())
            self.selectors()

    def drain(self) -> None:
        """Work until nothing is left to do."""
        while self.registrar.next_offset < len(self.terms):
            self.register(self.registrar, 3)
        while (sent := self.append_items(self.shard, 5)) is not None:
            sent.apply()
        if (news := self.append_bindings(self.shard, self.now())) is not None:
            news.apply()

    def refold(self) -> ShardStore:
        """A fresh store folded from offset 0, as `kae log verify` does it."""
        store = ShardStore(self.root / "refold", 1 << 20)
        store.log_name = self.deltas[0].name
        state = LogState()
        for offset, payload in self.deltas[0].read(0):
            if offset < 0:
                return store
            folded = fold(state, offset, payload)
            if folded.delta is not None:
                store.apply(folded.delta, folded.state)
            state = folded.state
        return store

    def close(self) -> None:
        self.shard.close()
        shutil.rmtree(self.root)


def split_known(changes: Sequence[Change | None]) -> list[Change]:
    return [change for change in changes if change is not None]
