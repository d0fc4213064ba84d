"""What writes an index over any logs: shards, a registrar, and the selectors that they compile."""

from collections.abc import Sequence
from pathlib import Path

from kae.encoders.categories import POSITIONS
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.selector import CompiledSelector, compile_selector
from kae.sinks.log.ownership import UnappliedDelta
from kae.sinks.log.protocol import Log
from kae.sinks.shard import Shard
from kae.sinks.store.recovery import SnapshotSource, no_snapshots
from kae.sinks.terms.registrar import Registrar


class Writers:
    """Opens the shards and the registrar of one codebook; a subclass says what they are given."""

    def __init__(
        self, codebook: Codebook, deltas: Sequence[Log], bindings: Log, root: Path, max_bytes: int
    ) -> None:
        self.codebook = codebook
        self.encoder = Encoder(codebook)
        self.root = root
        self.deltas = deltas
        self._bindings = bindings
        self._max_bytes = max_bytes
        self._selectors: dict[int, CompiledSelector] = {}
        self.registrar = self.open_registrar()

    def open_shard(
        self, number: int = 0, owner: str = "worker", snapshots: SnapshotSource = no_snapshots
    ) -> Shard:
        """A new owner of a shard, with a store in a folder of its own."""
        return Shard(
            self.root / owner / str(number),
            self.deltas[number],
            owner=owner,
            fingerprint=self.codebook.fingerprint,
            max_bytes=self._max_bytes,
            write_buffer_bytes=1 << 20,
            snapshots=snapshots,
        )

    def open_registrar(self) -> Registrar:
        return Registrar(
            self._bindings,
            owner="registrar",
            fingerprint=self.codebook.fingerprint,
            reserved={p: self.codebook.reserved(p) for p in range(POSITIONS)},
            max_bytes=self._max_bytes,
        )

    def selectors(self) -> dict[int, CompiledSelector]:
        """Every selector that was ever bound, as a follower of the bindings log keeps them."""
        for binding, bound in self.registrar.bindings.bound.items():
            self._selectors.setdefault(binding, compile_selector(bound.selector))
        return self._selectors

    def append_bindings(self, shard: Shard, now_ms: int) -> UnappliedDelta | None:
        """What a shard attaches and detaches by the bindings as they are; not applied yet."""
        return shard.append_bindings(self.registrar.bindings, self.selectors(), now_ms)
