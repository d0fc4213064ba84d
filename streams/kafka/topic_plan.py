"""The topics that a topology needs, with their settings."""

from collections.abc import Iterator

import msgspec

from kae.streams.topology.types import Topology

FOREVER = "-1"
HOUR_MS = 3_600_000
# Kafka's own default for the largest batch; a producer's batch may hold many small records.
BATCH_BYTES = 1_048_588
# A dead letter holds the whole refused event as JSON, and the cause.
DEAD_LETTER_BYTES = 2 * BATCH_BYTES


class TopicPlan(msgspec.Struct, frozen=True):
    """A topic that the topology needs."""

    name: str
    partitions: int
    replication: int
    settings: dict[str, str]


def plan_topics(topology: Topology) -> tuple[TopicPlan, ...]:
    """The topics of a topology, in the order of an item's way through them."""
    shards = topology.shards
    limits = topology.limits
    events = max(BATCH_BYTES, limits.event_bytes)
    return (
        _plan(
            topology, topology.items_topic, shards, topology.topics.items_retention_hours, events
        ),
        _plan(topology, topology.terms_topic, 1, -1, events),
        *_plan_behaviours(topology, events),
        _plan(topology, topology.bindings_topic, 1, -1, BATCH_BYTES),
        _plan(topology, topology.deltas_topic, shards, -1, BATCH_BYTES),
        _plan(topology, topology.control_topic, 1, -1, BATCH_BYTES),
        _plan(topology, topology.replicas_topic, 1, None, BATCH_BYTES),
        _plan(
            topology,
            topology.dead_letters_topic,
            shards,
            topology.topics.dead_letters_retention_hours,
            DEAD_LETTER_BYTES,
        ),
    )


def _plan_behaviours(topology: Topology, message_bytes: int) -> Iterator[TopicPlan]:
    """The behaviours topic, if there is one: deleted by time, and compacted, so that a tombstone
    erases the events of its key."""
    part = topology.behaviours
    if part is None:
        return
    plan = _plan(
        topology, topology.behaviours_topic, topology.shards, part.retention_hours, message_bytes
    )
    erasing = {
        "cleanup.policy": "compact,delete",
        "max.compaction.lag.ms": str(part.erased_within_hours * HOUR_MS),
    }
    yield msgspec.structs.replace(plan, settings={**plan.settings, **erasing})


def _plan(
    topology: Topology, name: str, partitions: int, retention_hours: int | None, message_bytes: int
) -> TopicPlan:
    """Without retention hours, a topic is compacted: it keeps the last record of each key."""
    settings = {"max.message.bytes": str(message_bytes)}
    if retention_hours is None:
        settings["cleanup.policy"] = "compact"
    else:
        forever = retention_hours == -1
        settings["cleanup.policy"] = "delete"
        settings["retention.ms"] = FOREVER if forever else str(retention_hours * HOUR_MS)
        settings["retention.bytes"] = FOREVER
    replication = topology.kafka.replication
    # One broker may be down, and an acknowledged record is still on two others.
    settings["min.insync.replicas"] = str(max(1, replication - 1))
    return TopicPlan(name, partitions, replication, settings)
