"""A small whole line for property tests: sources in lists, one shard, one registrar."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kae.encoders.categories import POSITIONS
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.selector import CompiledSelector, compile_selector
from kae.sinks.log.fold import LogState, fold
from kae.sinks.log.ownership import UnappliedDelta
from kae.sinks.log.protocol import Log
from kae.sinks.log.term_changes import TermChange
from kae.sinks.shard import Shard
from kae.sinks.store.plan import Change, prepare
from kae.sinks.store.store import ShardStore
from kae.sinks.terms.registrar import Registrar

MAX_BYTES = 4096  # small, so that many deltas travel in parts


class Line:
    """Two source lists, two logs, and whoever owns them at the moment."""

    def __init__(self, codebook: Codebook, deltas: Log, bindings: Log) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="kae-line-"))
        self.encoder = Encoder(codebook)
        self.items: list[Change | None] = []
        self.terms: list[TermChange] = []
        self._codebook = codebook
        self._deltas = deltas
        self._bindings = bindings
        self._clock = 0
        self._selectors: dict[int, CompiledSelector] = {}
        self.folder = 0
        self.shard = self.open_shard()
        self.registrar = self.open_registrar()

    def now(self) -> int:
        self._clock += 1
        return self._clock

    def open_shard(self) -> Shard:
        return Shard(
            self.root / f"worker-{self.folder}",
            self._deltas,
            owner=f"worker-{self.folder}",
            fingerprint=self.encoder.fingerprint,
            max_bytes=MAX_BYTES,
            write_buffer_bytes=1 << 20,
        )

    def open_registrar(self) -> Registrar:
        return Registrar(
            self._bindings,
            owner="registrar",
            fingerprint=self.encoder.fingerprint,
            reserved={p: self._codebook.reserved(p) for p in range(POSITIONS)},
            max_bytes=MAX_BYTES,
        )

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

    def append_bindings(self, shard: Shard) -> UnappliedDelta | None:
        return shard.append_bindings(self.registrar.bindings, self.selectors(), self.now())

    def register(self, registrar: Registrar, limit: int) -> None:
        first = registrar.next_offset
        changes = self.terms[first : first + limit]
        if changes:
            registrar.register(registrar.plan(changes), 0, first + len(changes), self.now())
            self.selectors()

    def selectors(self) -> dict[int, CompiledSelector]:
        """Every selector that was ever bound, as a follower of the bindings log keeps them."""
        for binding, bound in self.registrar.bindings.bound.items():
            self._selectors.setdefault(binding, compile_selector(bound.selector))
        return self._selectors

    def drain(self) -> None:
        """Work until nothing is left to do."""
        while self.registrar.next_offset < len(self.terms):
            self.register(self.registrar, 3)
        while (sent := self.append_items(self.shard, 5)) is not None:
            sent.apply()
        if (news := self.append_bindings(self.shard)) is not None:
            news.apply()

    def refold(self) -> ShardStore:
        """A fresh store folded from offset 0, as `kae log verify` does it."""
        store = ShardStore(self.root / "refold", 1 << 20)
        store.log_name = self._deltas.name
        state = LogState()
        for offset, payload in self._deltas.read(0):
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
