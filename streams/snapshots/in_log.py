"""The snapshots that a reader of a log may begin with: those whose record the log holds."""

from kafka import TopicPartition

from kae.sinks.beginnings import UNFIT, Snapshots
from kae.sinks.owned import check_base
from kae.sinks.snapshots.manifest import Manifest
from kae.streams.kafka_log import KafkaClients
from kae.streams.snapshots.archives import snapshots_of
from kae.streams.topology import Topology


def snapshots_in_log(
    topology: Topology,
    clients: KafkaClients,
    shard: int,
    fingerprint: str,
    newest: int | None = None,
) -> Snapshots:
    """The newest first, if need be none that is newer than a version.

    An end that a broker tells too low costs a snapshot, and never lets a wrong one pass.
    """
    place = TopicPartition(topology.deltas_topic, shard)
    log = clients.log(topology.deltas_topic, shard)

    def why_beside(manifest: Manifest) -> str:
        if newest is not None and manifest.version > newest:
            return f"it is of version {manifest.version}, {newest} is wanted"
        with clients.borrowed_consumer() as consumer:
            end = consumer.end_offsets([place])[place]
        try:
            check_base(log, manifest.offset, bytes.fromhex(manifest.tail), end)
        except UNFIT as error:
            return str(error)
        return ""

    return snapshots_of(topology, shard, fingerprint, why_beside)
