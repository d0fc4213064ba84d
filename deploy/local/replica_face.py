"""A replica as the demo asks it."""

import msgspec

from kae.sinks.log.edits import Counts
from kae.streams.replica_api.client import ReplicaClient


class ReplicaFace(ReplicaClient):
    """The commands' client, and the accounting as one sum."""

    def counts(self) -> Counts:
        """What became of the item events, over all shards."""
        shown = (msgspec.structs.astuple(shard.counts) for shard in self.status().shards)
        return sum((Counts(*counts) for counts in shown), start=Counts())
