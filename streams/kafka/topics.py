"""Create missing topics, correct their settings, and refuse topics with other partitions.

A topic may have more partitions than are read, since nobody can take them away. A generation that
has begun goes on with its own; `streams/kafka/unread_partitions.py` tells of the others.
"""

import contextlib
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum

import msgspec
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    GroupIdNotFoundError,
    NotCoordinatorError,
    TopicAlreadyExistsError,
)

from kae.streams.errors import TopicDiffers, TopicRefused
from kae.streams.kafka.connection import bootstrap_ms, connection, reached_brokers, refused
from kae.streams.kafka.topic_plan import TopicPlan, plan_topics
from kae.streams.kafka.unread_partitions import UnreadPartitions, find_unread
from kae.streams.topology.types import Topology

# Settings that make a topic delete records.
RETENTION_SETTINGS = ("cleanup.policy", "retention.bytes", "retention.ms")


class TopicChange(StrEnum):
    """What was done to a topic; in a dry run, what would be done."""

    CREATED = "created"
    CORRECTED = "corrected"  # it existed with other settings
    UNCHANGED = "unchanged"


class TopicOutcome(msgspec.Struct, frozen=True):
    """What `kae topics apply --json` prints for each topic."""

    name: str
    partitions: int
    outcome: TopicChange
    settings: dict[str, str]  # those that were set


def apply_topics(topology: Topology, dry_run: bool = False) -> list[TopicOutcome]:
    """Make the brokers' topics match the topology; a second call changes nothing.

    Raises: TopicDiffers if a topic has other partitions, also if the items topic has more than are
    read, before anything is changed; TopicRefused; KafkaUnreachable.
    """
    plans = plan_topics(topology)
    with admin_client(topology) as admin:
        partitions = _partitions(admin)
        _refuse_differences(plans, partitions, topology)
        _refuse_unread(partitions, topology)
        missing = [plan for plan in plans if plan.name not in partitions]
        corrections = _corrections(admin, [plan for plan in plans if plan not in missing], topology)
        if not dry_run:
            _create(admin, missing, topology)
            _correct(admin, corrections)
    return [_outcome(plan, plan in missing, corrections.get(plan.name, {})) for plan in plans]


def check_topics(topology: Topology) -> list[UnreadPartitions]:
    """Refuse to run on topics that are missing, have other partitions, or delete records of logs.

    Returns the partitions that the generation does not read.
    Raises: TopicDiffers; KafkaUnreachable.
    """
    plans = plan_topics(topology)
    with admin_client(topology) as admin:
        partitions = _partitions(admin)
        for plan in plans:
            if plan.name not in partitions:
                raise _missing(topology, plan.name)
        _refuse_differences(plans, partitions, topology)
        _refuse_retention(_corrections(admin, _logs(topology, partitions), topology))
    return find_unread(topology, partitions)


def find_topics(topology: Topology) -> tuple[set[str], list[str]]:
    """The names of the topics that may be read, and a sentence for all that is wrong with them.

    Raises: KafkaUnreachable, KafkaRefused.
    """
    found: set[str] = set()
    problems: list[str] = []
    plans = plan_topics(topology)
    with admin_client(topology) as admin:
        partitions = _partitions(admin)
        corrections = _corrections(admin, _logs(topology, partitions), topology)
    try:
        _refuse_retention(corrections)
    except TopicDiffers as error:
        problems.append(str(error))
    for plan in plans:
        try:
            if plan.name not in partitions:
                raise _missing(topology, plan.name)
            _refuse_differences([plan], partitions, topology)
        except TopicDiffers as error:
            problems.append(str(error))
        else:
            found.add(plan.name)
    return found, problems


def _logs(topology: Topology, existing: Container[str]) -> list[TopicPlan]:
    """The plans of the logs that there are."""
    names = (topology.deltas_topic, topology.bindings_topic)
    return [plan for plan in plan_topics(topology) if plan.name in names and plan.name in existing]


def _missing(topology: Topology, name: str) -> TopicDiffers:
    return TopicDiffers(
        f"topic {name} is missing{_or_hidden(topology)}; create it with: kae topics apply"
    )


def _or_hidden(topology: Topology) -> str:
    """Brokers with ACLs hide topics from users who may not describe them."""
    secured = topology.kafka.security.protocol != "PLAINTEXT"
    return " or, without the rights of `kae topology acls`, hidden" if secured else ""


def _refuse_retention(corrections: dict[str, dict[str, str]]) -> None:
    """Only `kae snapshot prune` trims a log; never time, size or compaction."""
    for name, settings in corrections.items():
        deleting = [key for key in settings if key in RETENTION_SETTINGS]
        if deleting:
            wrong = ", ".join(f"{key} should be {settings[key]}" for key in sorted(deleting))
            raise TopicDiffers(
                f"topic {name} would delete records of a log: {wrong}; correct it with: "
                "kae topics apply"
            )


def _outcome(plan: TopicPlan, created: bool, correction: dict[str, str]) -> TopicOutcome:
    if created:
        return TopicOutcome(plan.name, plan.partitions, TopicChange.CREATED, plan.settings)
    outcome = TopicChange.CORRECTED if correction else TopicChange.UNCHANGED
    return TopicOutcome(plan.name, plan.partitions, outcome, correction)


# Brokers answer so about a group without members, and only to users who may join it.
_MAY_JOIN = (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    GroupIdNotFoundError,
    NotCoordinatorError,
)


@contextmanager
def admin_client(topology: Topology) -> Iterator[KafkaAdminClient]:
    """An admin client.

    Raises: KafkaUnreachable, KafkaRefused.
    """
    kafka = topology.kafka
    with reached_brokers(topology):
        admin = KafkaAdminClient(
            **connection(topology),
            client_id=f"{kafka.client_id}-admin",
            request_timeout_ms=int(kafka.request_timeout_seconds * 1000),
            bootstrap_timeout_ms=bootstrap_ms(topology),
        )
        try:
            yield admin
        finally:
            admin.close()


def check_group(topology: Topology) -> None:
    """Check that the workers' group may be joined: Faust retries a refused join forever, silently.

    Raises: KafkaUnreachable, KafkaRefused.
    """
    security = topology.kafka.security
    if not (security.has_tls or security.has_sasl):
        return
    with admin_client(topology) as admin, contextlib.suppress(*_MAY_JOIN):
        admin.describe_groups([topology.worker_group])


def _partitions(admin: KafkaAdminClient) -> dict[str, int]:
    return {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}


def _refuse_differences(
    plans: Sequence[TopicPlan], partitions: dict[str, int], topology: Topology
) -> None:
    """Refuse too few partitions, and logs of a generation with another number of shards.

    Behaviours and dead letters are read from all the partitions that there are.
    """
    whole = (topology.behaviours_topic, topology.dead_letters_topic)
    for plan in plans:
        found = partitions.get(plan.name, plan.partitions)
        if found == plan.partitions or plan.name in whole:
            continue
        differs = (
            f"topic {plan.name} has {found} partitions and {topology.path} asks for "
            f"{plan.partitions}; "
        )
        if plan.name == topology.deltas_topic:
            raise TopicDiffers(
                f"{differs}shards belong to a generation: set shards to what the topic has, or "
                "build the next generation (docs/generations.md#more-shards)"
            )
        if found < plan.partitions:
            raise TopicDiffers(
                f"{differs}set shards to what the topic has, or add the partitions with Kafka's "
                f"own tools (kafka-topics.sh --alter --topic {plan.name} --partitions "
                f"{plan.partitions})"
            )


def _refuse_unread(partitions: dict[str, int], topology: Topology) -> None:
    """Refuse items that a generation would not read; nobody can take partitions away again."""
    for unread in find_unread(topology, partitions):
        if unread.topic != topology.items_topic:
            continue
        if topology.deltas_topic in partitions:
            raise TopicDiffers(str(unread))
        raise TopicDiffers(
            f"topic {unread.topic} has {unread.found} partitions and {topology.path} asks for "
            f"{unread.read}; set shards to what the topic has: generation {topology.generation} "
            "has not begun"
        )


def _corrections(
    admin: KafkaAdminClient, plans: Sequence[TopicPlan], topology: Topology
) -> dict[str, dict[str, str]]:
    """Return topic -> settings that differ; a setting that the broker does not report is skipped.

    Raises: KafkaRefused when the user may not read the settings.
    """
    if not plans:
        return {}
    secured = topology.kafka.security.protocol != "PLAINTEXT"
    resources = [ConfigResource(ConfigResourceType.TOPIC, plan.name) for plan in plans]
    configs = admin.describe_configs(resources, config_filter="all").get("topic", {})
    corrections = {}
    for plan in plans:
        found = {name: entry["value"] for name, entry in configs.get(plan.name, {}).items()}
        if not found and secured:
            raise refused(topology, f"the settings of {plan.name} are hidden (DescribeConfigs)")
        differing = {
            name: value for name, value in plan.settings.items() if found.get(name, value) != value
        }
        if differing:
            corrections[plan.name] = differing
    return corrections


def _correct(admin: KafkaAdminClient, corrections: dict[str, dict[str, str]]) -> None:
    if corrections:
        admin.alter_configs(
            [
                ConfigResource(ConfigResourceType.TOPIC, name, settings)
                for name, settings in corrections.items()
            ]
        )


def _create(admin: KafkaAdminClient, plans: Sequence[TopicPlan], topology: Topology) -> None:
    wanted = {
        plan.name: {
            "num_partitions": plan.partitions,
            "replication_factor": plan.replication,
            "configs": plan.settings,
        }
        for plan in plans
    }
    if not wanted:
        return
    answer = admin.create_topics(wanted, raise_errors=False)
    for topic in answer["topics"]:
        # Another process may create them at the same time; the check below decides.
        if topic["error_code"] not in (0, TopicAlreadyExistsError.errno):
            raise TopicRefused(
                f"topic {topic['name']} was refused by {topology.kafka.bootstrap}: "
                f"{topic['error_message']}; correct kafka.replication or topics in {topology.path}"
            )
    admin.wait_for_topics(list(wanted))
    _refuse_differences(plans, _partitions(admin), topology)
