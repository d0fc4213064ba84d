"""The chapters of the demo about items: stream a catalog, explain one item, kill a worker."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from rich.markup import escape

from kae.deploy.demo_context import DemoContext
from kae.deploy.demo_output import ProgressBar
from kae.sinks.log.edits import Counts
from kae.streams.catalog.rows import read_items

# How long the second stream takes, and how much of it has been applied when the worker is killed.
KILL_STREAM_SECONDS = 6.0
KILL_AFTER = 0.3
ITEMS_TO_CHOOSE_FROM = 200


@dataclass(frozen=True, slots=True)
class Streamed:
    """The result of streaming the catalog once."""

    published: int
    indexed: int
    counts: Counts
    events_per_second: float  # between the first and the last event that the replica applied


def stream_catalog(demo: DemoContext) -> Streamed:
    """Publish the catalog and wait until the replica has applied every event."""
    items = demo.settings.items
    ingest = demo.publish("ingest")
    with demo.output.progress("indexed", items) as bar:
        # What the ingest and the first rebalance take to start is not the speed of the index.
        first = _watch(demo, 1, bar).read
        began = time.monotonic()
        counts = _watch(demo, items, bar)
    rate = (items - first) / max(time.monotonic() - began, 1e-9)
    published = demo.report(ingest)["published"]
    indexed = demo.replica.status().items
    demo.output.say(
        f"{published:,} products published, [bold]{indexed:,} indexed[/] and searchable, "
        f"{counts.dead:,} dead letters, {rate:,.0f} events/s"
    )
    return Streamed(published, indexed, counts, round(rate, 1))


def show_one_item(demo: DemoContext) -> None:
    """Show how a product became six words: of the first items, the one with the most words."""
    catalog = read_items(demo.settings.catalog, demo.cluster.topology.catalog)
    first = islice(catalog, min(demo.settings.items, ITEMS_TO_CHOOSE_FROM))
    answers = [demo.replica.item(item.id) for item in first]
    shown = max(answers, key=lambda answer: sum(map(bool, answer.identifier)))
    demo.output.say(f"item {escape(shown.id)}: [italic]{escape(shown.title)}[/]")
    found = {fact.word: f"{fact.category}, from {fact.source}" for fact in shown.attributes}
    rows = [
        (group, _word(word), found.get(word or "", ""))
        for group, word in zip(shown.groups, shown.identifier, strict=True)
    ]
    demo.output.table(("position", "word", "category and source"), rows)


def lose_a_worker(demo: DemoContext) -> bool:
    """Kill a worker in the middle of a stream; returns whether every event is accounted for.

    The catalog is published a second time, as updates with a higher revision.
    """
    items = demo.settings.items
    before = demo.replica.counts()
    victim = next(worker for worker in demo.cluster.workers.values() if worker.running)
    ingest = demo.publish("updates", within_seconds=KILL_STREAM_SECONDS)
    with demo.output.progress("updated", items) as bar:
        from_here = _beyond(bar, before.read)
        _watch(demo, before.read + int(items * KILL_AFTER), from_here)
        victim.kill()
        killed_at = demo.replica.counts().read - before.read
        after = _watch(demo, before.read + items, from_here)
    demo.report(ingest)
    demo.output.say(
        f"[bold red]SIGKILL[/] to {victim.name} after {killed_at:,} of {items:,} updates; "
        "the other worker takes over its shards"
    )
    return _accounts_agree(demo, published=before.read + items, counts=after)


def _accounts_agree(demo: DemoContext, published: int, counts: Counts) -> bool:
    agree = counts.read == published and counts.balanced and counts.dead == 0
    sign = "=" if agree else "[bold red]is not[/]"
    demo.output.say(
        f"published {published:,} = read {counts.read:,} {sign} put {counts.put:,} + dropped "
        f"{counts.dropped:,} + stale {counts.stale:,} + dead letters {counts.dead:,}"
    )
    return agree


def _watch(demo: DemoContext, events: int, bar: ProgressBar) -> Counts:
    """Wait until the replica has applied that many events; fail when nothing moves any more."""
    counts = demo.replica.counts()
    bar(counts.read)
    while counts.read < events:
        counts = demo.until(_more_than(demo, counts.read), "the replica to apply another event")
        bar(counts.read)
    return counts


def _more_than(demo: DemoContext, events: int) -> Callable[[], Counts | None]:
    def look() -> Counts | None:
        counts = demo.replica.counts()
        return counts if counts.read > events else None

    return look


def _beyond(bar: ProgressBar, events: int) -> ProgressBar:
    return lambda done: bar(done - events)


def _word(word: str | None) -> str:
    return f"[bold green]{escape(word)}[/]" if word else "[dim]empty[/]"
