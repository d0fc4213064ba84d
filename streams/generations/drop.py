"""Drop a generation: its topics, its workers' group, its snapshots, and its stores on this machine.

The record is appended first, so that replicas stop following the generation before its topics go.
A command that is killed after that is run again.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from kafka import KafkaAdminClient

from kae.sinks.snapshots.archive import Archive
from kae.sinks.store import keys
from kae.sinks.store.disk import folder_bytes
from kae.streams.clock import now_ms
from kae.streams.control.client import user_at_host
from kae.streams.control.records import Dropped
from kae.streams.errors import GenerationRefused
from kae.streams.generations.answers import FolderSize, GenerationDropped
from kae.streams.generations.client import GenerationsClient
from kae.streams.generations.cutover import answering_from
from kae.streams.kafka.topics import admin_client
from kae.streams.replica_api.status import GenerationsShown
from kae.streams.runtime.folders import hold_folder
from kae.streams.topology.types import Topology


def plan_drop(
    client: GenerationsClient, generation: int, shown: GenerationsShown | None, data: Sequence[Path]
) -> GenerationDropped:
    """What would be removed; `data` are folders of workers that ran on this machine.

    Raises: KafkaUnreachable, ArchiveUnreachable.
    """
    topology = client.topology.edited({"generation": generation})
    with admin_client(topology) as admin:
        topics = sorted({topology.bindings_topic, topology.deltas_topic} & {*admin.list_topics()})
    stores = (keys.generation_folder(folder, generation) for folder in data)
    archive = _archive(topology)
    return GenerationDropped(
        generation=generation,
        dry_run=True,
        topics=topics,
        consumer_group=topology.worker_group,
        folders=[FolderSize(str(f), folder_bytes(f)) for f in stores if f.is_dir()],
        snapshots=FolderSize(archive.folder, archive.bytes()) if archive else None,
        refused=_refusal(client, generation, shown, topology),
        last_way_back=_is_way_back(client, generation),
    )


def drop_generation(
    client: GenerationsClient, plan: GenerationDropped, reason: str, data: Sequence[Path]
) -> None:
    """Remove what `plan_drop` found.

    Raises: GenerationRefused when the generation serves by now; StoreFolderUnusable when a worker
    still runs on one of the folders; KafkaUnreachable, AppendUnknown, ArchiveUnreachable.
    """
    generation = plan.generation
    topology = client.topology.edited({"generation": generation})
    if generation not in client.state.dropped:
        client.append(Dropped(generation, user_at_host(), reason, now_ms()))
    if generation not in client.state.dropped:
        raise GenerationRefused(
            f"a cut-over came first: generation {generation} serves; nothing was dropped"
        )
    with admin_client(topology) as admin:
        if plan.topics:
            admin.delete_topics(plan.topics)
        if _members(admin, topology.worker_group) is not None:
            admin.delete_groups([topology.worker_group])
    archive = _archive(topology)
    if archive is not None:
        archive.remove()
    for folder in data:
        stores = keys.generation_folder(folder, generation)
        if stores.is_dir():
            with hold_folder(folder, "worker"):
                shutil.rmtree(stores)


def _refusal(
    client: GenerationsClient, generation: int, shown: GenerationsShown | None, topology: Topology
) -> str:
    if generation not in {*client.state.followed, *client.state.dropped}:
        return f"generation {generation} is not known; `kae generation list` shows them"
    if generation == client.state.serving:
        return f"generation {generation} serves; promote another one first"
    answering = answering_from(shown).get(generation, []) if shown else []
    if answering:
        return (
            f"generation {generation}: {', '.join(answering)} still answer from it; they switch "
            "once they cover the cut-over (`kae generation list`)"
        )
    with admin_client(topology) as admin:
        members = _members(admin, topology.worker_group)
    if members:
        return (
            f"generation {generation}: {members} of its workers run (group "
            f"{topology.worker_group}); stop them"
        )
    return ""


def _is_way_back(client: GenerationsClient, generation: int) -> bool:
    cutover = client.state.cutover
    return cutover is not None and cutover.record.previous == generation


def _members(admin: KafkaAdminClient, group: str) -> int | None:
    """How many workers a group has; None when there is no such group."""
    if group not in {one["group_id"] for one in admin.list_groups()}:
        return None
    return len(admin.describe_groups([group])[group]["members"])


def _archive(topology: Topology) -> Archive | None:
    url = topology.snapshots.url
    return Archive.open(url, topology.deltas_topic) if url else None
