"""What each role may do on the brokers: made from the topology, least privilege, all else denied.

Brokers that use it deny by default. `Describe` of every topic is each role's: who starts looks
whether the topics have the partitions that the topology says. Kafka knows topics and no keys, so a
replica could write another's lease: receipts would be wrong, and nothing that is indexed.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Literal

import msgspec

from kae.streams.kafka.topic_plan import plan_topics
from kae.streams.topology.types import Topology

Resource = Literal["topic", "group", "cluster"]
AclOperation = Literal[
    "Alter", "AlterConfigs", "Create", "Delete", "Describe", "DescribeConfigs", "Read", "Write"
]


class KafkaRole(StrEnum):
    """Who talks to the brokers, each as a user of its own."""

    PRODUCER = "producer"  # sends item events: feeds, kae catalog ingest
    PROPOSER = "proposer"  # sends term events: kae term bind, release
    WORKER = "worker"
    BACKFILL = "backfill"  # kae backfill run: makes a generation's logs and writes them, once
    REPLICA = "replica"
    OPERATOR = "operator"  # kae topics, shard, snapshot, dead-letters, status, log


class Acl(msgspec.Struct, frozen=True):
    """One resource that a role may use, and how; what `kae topology acls --json` lists."""

    role: KafkaRole
    resource: Resource
    name: str
    operations: tuple[AclOperation, ...]


def plan_acls(topology: Topology) -> tuple[Acl, ...]:
    """All that is allowed, by role; a literal name each, no prefixes and no wildcards."""
    return tuple(acl for role in KafkaRole for acl in _of_role(topology, role))


def _of_role(topology: Topology, role: KafkaRole) -> Iterator[Acl]:
    allowed = _beyond_describing(topology)[role]
    for plan in plan_topics(topology):
        yield Acl(role, "topic", plan.name, ("Describe", *allowed.get(plan.name, ())))
    if role is KafkaRole.WORKER:
        yield Acl(role, "group", topology.worker_group, ("Read",))
    if role is KafkaRole.OPERATOR:
        yield Acl(role, "group", topology.worker_group, ("Delete", "Describe"))
        # Creating topics, and asking how large the logs are.
        yield Acl(role, "cluster", "kafka-cluster", ("Create", "Describe"))
    if role is KafkaRole.BACKFILL:
        yield Acl(role, "cluster", "kafka-cluster", ("Create",))


def _beyond_describing(topology: Topology) -> dict[KafkaRole, dict[str, tuple[AclOperation, ...]]]:
    items, terms = topology.items_topic, topology.terms_topic
    bindings, deltas = topology.bindings_topic, topology.deltas_topic
    control, letters = topology.control_topic, topology.dead_letters_topic
    # Whoever starts looks whether a log would forget.
    log: tuple[AclOperation, ...] = ("DescribeConfigs",)
    looks = {bindings: log, deltas: log}
    kept: tuple[AclOperation, ...] = ("AlterConfigs", "DescribeConfigs")
    return {
        KafkaRole.PRODUCER: {**looks, items: ("Write",)},
        KafkaRole.PROPOSER: {**looks, terms: ("Write",)},
        KafkaRole.WORKER: {
            items: ("Read",),
            terms: ("Read",),
            bindings: (*log, "Read", "Write"),
            deltas: (*log, "Read", "Write"),
            control: ("Read", "Write"),
            letters: ("Write",),
        },
        KafkaRole.BACKFILL: {
            items: (*log, "Read"),
            terms: (*log, "Read"),
            # What an earlier run has left is cut off.
            bindings: (*kept, "Delete", "Read", "Write"),
            deltas: (*kept, "Delete", "Read", "Write"),
            control: (*log, "Read"),
            topology.replicas_topic: log,
            letters: (*log, "Write"),
        },
        KafkaRole.REPLICA: {
            bindings: (*log, "Read"),
            deltas: (*log, "Read"),
            # Which generation serves.
            control: ("Read",),
            topology.replicas_topic: ("Read", "Write"),
        },
        KafkaRole.OPERATOR: {
            # Replaying dead letters sends their events again.
            items: (*kept, "Read", "Write"),
            terms: (*kept, "Read", "Write"),
            # Dropping a generation removes its logs; pruning trims one.
            bindings: (*kept, "Delete", "Read"),
            deltas: (*kept, "Delete", "Read"),
            control: (*kept, "Read", "Write"),
            topology.replicas_topic: (*kept, "Read"),
            letters: (*kept, "Read", "Write"),
        },
    }
