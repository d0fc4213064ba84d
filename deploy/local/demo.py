"""`kae demo run`, chapter by chapter: the whole index on this machine, with a real catalog."""

from pathlib import Path

from kae.deploy.cluster import Cluster
from kae.deploy.demo_context import (
    STUCK_SECONDS,
    CountingReplica,
    DemoContext,
    DemoFacts,
    DemoSettings,
    TermFacts,
)
from kae.deploy.demo_output import DemoOutput
from kae.deploy.demo_stream import lose_a_worker, show_one_item, stream_catalog
from kae.deploy.demo_term import bind, release, search_bound, search_unknown
from kae.deploy.processes import ProcessFailed
from kae.streams.catalog.rows import read_items
from kae.streams.topology.types import Topology

CATALOG = tuple(sorted((Path(__file__).parent / "catalog").glob("*.parquet")))


def start(cluster: Cluster, output: DemoOutput) -> None:
    """Start the broker, create the topics, and start two workers and a replica."""
    output.chapter("Start a broker, two workers and a replica")
    cluster.start()
    output.say(
        f"{cluster.broker.process.name} at {cluster.broker.bootstrap}, "
        f"{', '.join(cluster.workers)}, a replica at {cluster.replica.url}"
    )
    output.say(f"[dim]logs and stores: {cluster.folder}[/]")


def run_chapters(cluster: Cluster, settings: DemoSettings, output: DemoOutput) -> DemoFacts:
    """Run every chapter on a running cluster.

    Raises: DemoFailed, ProcessFailed; TermRefused, TermTimedOut; ReplicaUnreachable.
    """
    demo = DemoContext(cluster, CountingReplica(cluster.replica.url), output, settings)
    output.chapter(f"Stream {settings.items:,} real products through Kafka into the replica")
    streamed = stream_catalog(demo)
    output.chapter("Explain one product: it became six words")
    show_one_item(demo)
    output.chapter("Search for an unknown word")
    unknown = search_unknown(demo)
    output.chapter("Bind the word to products, while everything runs")
    bound = bind(demo)
    output.chapter("Search again")
    reachable = search_bound(demo)
    output.chapter("Kill a worker in the middle of a stream")
    accounted = lose_a_worker(demo)
    equal_after_kill = fold_the_log(demo, "fold-after-kill")
    output.chapter("Release the word")
    released = release(demo)
    output.chapter("Rebuild the index from its log, in another process")
    equal = fold_the_log(demo, "fold")
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


def fold_the_log(demo: DemoContext, name: str) -> bool:
    """Fold the log in another process; returns whether every shard has the hash of the replica."""
    url = demo.cluster.replica.url
    verify = demo.cluster.command(name, "log", "verify", "--replica", url, "--json")
    verify.wait(STUCK_SECONDS)
    equal: bool | None = verify.report().get("equal")
    if equal is None:
        raise ProcessFailed(f"kae log verify did not report; {verify.last_words()}")
    demo.output.say(
        "every shard of the replica equals its log"
        if equal
        else "[bold red]a shard of the replica differs from its log[/]"
    )
    return equal


def name_next_commands(
    output: DemoOutput, replica_url: str | None = None, console_url: str | None = None
) -> None:
    """Suggest commands; with the addresses of replica and console if the demo keeps running."""
    output.chapter("What to try next")
    if replica_url:
        output.say(f"console: [bold]{console_url}[/]")
        output.say(f"still running: search at {replica_url}, and try in another shell:")
        commands = (
            ("kae status", "lag, versions, and the fate of every event"),
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
        output.say(f"[bold]{command}[/]  [dim]{reason}[/]")


def _first_item() -> str:
    return next(iter(read_items(CATALOG, Topology.load().catalog))).id
