"""The proof that a line is what its input says, taken from its logs and its stores."""

from pathlib import Path

from tests.live.killer import wait_for
from tests.live.ledger import Ledger
from tests.live.refold import Refold, refolds

from kae.deploy.cluster import Cluster
from kae.sinks.store import keys
from kae.sinks.store.store import ShardStore


def prove(cluster: Cluster, ledger: Ledger, scratch: Path) -> dict[int, list[str]]:
    """Wait until everything published is in the logs; compare logs, stores and oracle.

    Returns: for each shard, why records of its log were passed over.
    """
    with refolds(cluster.topology, scratch) as folded:
        wait_for(lambda: _caught_up(folded, ledger), "the logs to hold what was published", 120)
        for worker in cluster.workers.values():
            worker.terminate()
        for shard, one in enumerate(folded):
            one.read_on()
            state = one.store.state
            assert state.counts == ledger.counts(shard), f"shard {shard}: accounting"
            assert one.store.content_hash() == ledger.hash(shard), f"shard {shard}: content"
            newest = max(_stores(cluster, shard), key=lambda found: found[0])
            assert newest == (state.version, one.store.content_hash()), f"shard {shard}: store"
        return {shard: one.ignored for shard, one in enumerate(folded)}


def _caught_up(folded: list[Refold], ledger: Ledger) -> bool:
    for one in folded:
        one.read_on()
    versions = {one.store.state.source.bindings_version for one in folded}
    ends = ledger.ends()
    at_end = all(
        one.store.state.source.next_offset == ends[shard] for shard, one in enumerate(folded)
    )
    return at_end and len(versions) == 1 and versions.pop() == ledger.bindings_version()


def _stores(cluster: Cluster, shard: int) -> list[tuple[int, str]]:
    """(version, content hash) of this shard in every worker that has held it."""
    found = []
    for name in cluster.workers:
        folder = keys.shard_folder(cluster.folder / name, cluster.topology.generation, shard)
        if folder.exists():
            store = ShardStore(folder, 1 << 20)
            found.append((store.state.version, store.content_hash()))
            store.close()
    return found
