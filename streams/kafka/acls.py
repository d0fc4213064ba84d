"""The least privileges that each role needs on brokers that deny by default, from the topology.

Every role may `Describe` every topic, since each process checks at start that topics have the right
partitions. Kafka's rights are by topic and not by key, so a replica could write another's lease:
receipts would be wrong, but nothing that is indexed.
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
    """A kind of client, with a Kafka user of its own."""

    PRODUCER = "producer"  # sends item events: feeds, kae catalog ingest
    PROPOSER = "proposer"  # sends term events: kae term bind, release
    RECORDER = "recorder"  # sends behaviour events: shops, kae behaviour ingest
    WORKER = "worker"
    BACKFILL = "backfill"  # kae backfill run: makes a generation's logs and writes them, once
    REPLICA = "replica"
    TRAINER = "trainer"  # kae samples build: a replica that also reads behaviour events
    OPERATOR = "operator"  # kae topics, shard, snapshot, dead-letters, status, log, behaviour erase


class Acl(msgspec.Struct, frozen=True):
    """One resource and what a role may do with it; `kae topology acls --json` lists them."""

    role: KafkaRole
    resource: Resource
    name: str
    operations: tuple[AclOperation, ...]


def plan_acls(topology: Topology) -> tuple[Acl, ...]:
    """All that is allowed, by role; literal names only, no prefixes and no wildcards."""
    return tuple(acl for role in KafkaRole for acl in _of_role(topology, role))


def _of_role(topology: Topology, role: KafkaRole) -> Iterator[Acl]:
    allowed = _beyond_describing(topology)[role]
    for plan in plan_topics(topology):
        yield Acl(role, "topic", plan.name, ("Describe", *allowed.get(plan.name, ())))
    if role is KafkaRole.WORKER:
        yield Acl(role, "group", topology.worker_group, ("Read",))
    if role is KafkaRole.OPERATOR:
        yield Acl(role, "group", topology.worker_group, ("Delete", "Describe"))
        # To create topics and to read the sizes of logs.
        yield Acl(role, "cluster", "kafka-cluster", ("Create", "Describe"))
    if role is KafkaRole.BACKFILL:
        yield Acl(role, "cluster", "kafka-cluster", ("Create",))


def _beyond_describing(topology: Topology) -> dict[KafkaRole, dict[str, tuple[AclOperation, ...]]]:
    items, terms = topology.items_topic, topology.terms_topic
    behaviours = topology.behaviours_topic
    bindings, deltas = topology.bindings_topic, topology.deltas_topic
    control, dead_letters = topology.control_topic, topology.dead_letters_topic
    # Each process checks at start that retention deletes no log records.
    log: tuple[AclOperation, ...] = ("DescribeConfigs",)
    checked = {bindings: log, deltas: log}
    settings: tuple[AclOperation, ...] = ("AlterConfigs", "DescribeConfigs")
    replica: dict[str, tuple[AclOperation, ...]] = {
        bindings: (*log, "Read"),
        deltas: (*log, "Read"),
        # Says which generation serves.
        control: ("Read",),
        topology.replicas_topic: ("Read", "Write"),
    }
    return {
        KafkaRole.PRODUCER: {**checked, items: ("Write",)},
        KafkaRole.PROPOSER: {**checked, terms: ("Write",)},
        KafkaRole.RECORDER: {**checked, behaviours: ("Write",)},
        KafkaRole.WORKER: {
            items: ("Read",),
            terms: ("Read",),
            bindings: (*log, "Read", "Write"),
            deltas: (*log, "Read", "Write"),
            control: ("Read", "Write"),
            dead_letters: ("Write",),
        },
        KafkaRole.BACKFILL: {
            items: (*log, "Read"),
            terms: (*log, "Read"),
            # To delete the records of an earlier run.
            bindings: (*settings, "Delete", "Read", "Write"),
            deltas: (*settings, "Delete", "Read", "Write"),
            control: (*log, "Read"),
            topology.replicas_topic: log,
            dead_letters: (*log, "Write"),
        },
        KafkaRole.REPLICA: replica,
        # What is no behaviour event becomes a dead letter, unless it is one already.
        KafkaRole.TRAINER: {**replica, behaviours: ("Read",), dead_letters: ("Read", "Write")},
        KafkaRole.OPERATOR: {
            # To replay dead letters.
            items: (*settings, "Read", "Write"),
            terms: (*settings, "Read", "Write"),
            # To erase as well.
            behaviours: (*settings, "Read", "Write"),
            # To drop a generation's logs, and to trim a log when pruning.
            bindings: (*settings, "Delete", "Read"),
            deltas: (*settings, "Delete", "Read"),
            control: (*settings, "Read", "Write"),
            topology.replicas_topic: (*settings, "Read"),
            dead_letters: (*settings, "Read", "Write"),
        },
    }
