"""`kae demo run`, chapter by chapter: the whole line on this machine, with a real catalog."""

from pathlib import Path

from kae.deploy.cluster import Cluster
from kae.deploy.demo_facts import DemoFacts, TermFacts
from kae.deploy.demo_scene import STUCK_SECONDS, Scene, Script
from kae.deploy.demo_stream import lose_a_worker, show_one_item, stream_catalog
from kae.deploy.demo_term import bind, release, search_bound, search_unknown
from kae.deploy.narrator import Narrator
from kae.deploy.processes import ProcessFailed
from kae.deploy.replica_face import ReplicaFace
from kae.streams.catalog.rows import read_items
from kae.streams.topology.types import Topology

CATALOG = tuple(sorted((Path(__file__).parent / "catalog").glob("*.parquet")))


def start(cluster: Cluster, narrator: Narrator) -> None:
    """Broker, topics, two workers, a replica."""
    narrator.chapter("Start a broker, two workers and a replica")
    cluster.start()
    narrator.say(
        f"{cluster.broker.process.name} at {cluster.broker.bootstrap}, "
        f"{', '.join(cluster.workers)}, a replica at {cluster.replica.url}"
    )
    narrator.say(f"[dim]logs and stores: {cluster.folder}[/]")


def tell(cluster: Cluster, script: Script, narrator: Narrator) -> DemoFacts:
    """The story; `cluster` is running.

    Raises: DemoFailed, ProcessFailed; TermRefused, TermTimedOut; ReplicaUnreachable.
    """
    scene = Scene(cluster, ReplicaFace(cluster.replica.url), narrator, script)
    narrator.chapter(f"Stream {script.items:,} real products through Kafka into the replica")
    streamed = stream_catalog(scene)
    narrator.chapter("Look at one product: it became six words")
    show_one_item(scene)
    narrator.chapter("Search a word that nobody knows")
    unknown = search_unknown(scene)
    narrator.chapter("Bind it, while everything runs")
    bound = bind(scene)
    narrator.chapter("Search again")
    reachable = search_bound(scene)
    narrator.chapter("Kill a worker in the middle of the stream")
    accounted = lose_a_worker(scene)
    equal_after_kill = fold_the_log(scene, "fold-after-kill")
    narrator.chapter("Release the word")
    released = release(scene)
    narrator.chapter("Fold the log from offset 0, in another process")
    equal = fold_the_log(scene, "fold")
    return DemoFacts(
        items_published=streamed.published,
        items_indexed=streamed.indexed,
        dead_letters=streamed.counts.dead,
        events_per_second=streamed.events_per_second,
        term=TermFacts(
            unreachable_before=unknown,
            attached_items=bound.attached_items,
            time_to_effect_ms=bound.time_to_effect_ms,
            reachable=reachable,
            unreachable_after_release=released,
        ),
        killed_worker_recovered=accounted and equal_after_kill,
        replica_equals_log=equal,
    )


def fold_the_log(scene: Scene, name: str) -> bool:
    """Whether another process, folding the log alone, comes to the replica's hash of each shard."""
    url = scene.cluster.replica.url
    verify = scene.cluster.command(name, "log", "verify", "--replica", url, "--json")
    verify.wait(STUCK_SECONDS)
    equal: bool | None = verify.report().get("equal")
    if equal is None:
        raise ProcessFailed(f"the log could not be folded; {verify.last_words()}")
    scene.narrator.say(
        "the replica equals the log, shard by shard"
        if equal
        else "[bold red]the replica differs from the log[/]"
    )
    return equal


def name_next_commands(
    narrator: Narrator, replica_url: str | None = None, console_url: str | None = None
) -> None:
    """What to try now; with the addresses of replica and console when the run is kept."""
    narrator.chapter("Your turn")
    if replica_url:
        narrator.say(f"console: [bold]{console_url}[/]")
        narrator.say(f"still running; search at {replica_url}, and in another shell:")
        commands = (
            ("kae status", "lag, versions, and what became of every event"),
            ("kae term bind gamerlounge --match 'gaming'", "a word of yours"),
            (f"kae item explain {_first_item()}", "why a product is found"),
        )
    else:
        commands = (
            ("kae demo run --keep", "leave it running, with a search page"),
            ("kae demo run --term WORD --where 'brand = \"canon\"'", "a word of yours"),
            ("kae topology show", "how the index is laid out, for your own catalog"),
        )
    for command, reason in commands:
        narrator.say(f"[bold]{command}[/]  [dim]{reason}[/]")


def _first_item() -> str:
    return next(iter(read_items(CATALOG, Topology.load().catalog))).id
