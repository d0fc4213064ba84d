"""A replica as the demo asks it."""

from urllib.parse import urlencode

import msgspec

from kae.sinks.edits import Counts
from kae.streams.replica.answers import Found, Hit
from kae.streams.replica.client import ReplicaClient


class ReplicaFace(ReplicaClient):
    """The commands' client, which does not search, and the accounting as one sum."""

    def search(self, query: str, limit: int = 5) -> list[Hit]:
        """Raises: ReplicaUnreachable, ReplicaRefused."""
        return self._get(f"/search?{urlencode({'q': query, 'limit': limit})}", Found).items

    def counts(self) -> Counts:
        """What became of the item events, over all shards."""
        shown = (msgspec.structs.astuple(shard.counts) for shard in self.status().shards)
        return sum((Counts(*counts) for counts in shown), start=Counts())
