"""The demo's chapters about items: stream a catalog, look at one item, lose a worker meanwhile."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from rich.markup import escape

from kae.deploy.demo_scene import Scene
from kae.deploy.narrator import Meter
from kae.sinks.log.edits import Counts
from kae.streams.catalog.rows import read_items

# How long the stream lasts into which the kill falls, and which part of it is over by then.
KILL_STREAM_SECONDS = 6.0
KILL_AFTER = 0.3
ITEMS_TO_CHOOSE_FROM = 200


@dataclass(frozen=True, slots=True)
class Streamed:
    """A catalog, from the start of publishing to the last event that the replica applied."""

    published: int
    indexed: int
    counts: Counts
    events_per_second: float


def stream_catalog(scene: Scene) -> Streamed:
    """Publish the catalog and wait until the replica has applied every event."""
    items = scene.script.items
    began = time.monotonic()
    ingest = scene.publish("ingest")
    with scene.narrator.meter("indexed", items) as meter:
        counts = _watch(scene, items, meter)
    rate = items / (time.monotonic() - began)
    published = scene.report(ingest)["published"]
    indexed = scene.replica.status().items
    scene.narrator.say(
        f"{published:,} products published, [bold]{indexed:,} indexed[/] and served, "
        f"{counts.dead:,} dead letters, {rate:,.0f} events/s"
    )
    return Streamed(published, indexed, counts, round(rate, 1))


def show_one_item(scene: Scene) -> None:
    """How a product became six words: the one of the first items with the most of them."""
    catalog = read_items(scene.script.catalog, scene.cluster.topology.catalog)
    first = islice(catalog, min(scene.script.items, ITEMS_TO_CHOOSE_FROM))
    answers = [scene.replica.item(item.id) for item in first]
    shown = max(answers, key=lambda answer: sum(map(bool, answer.identifier)))
    scene.narrator.say(f"item {escape(shown.id)}: [italic]{escape(shown.title)}[/]")
    found = {fact.word: f"{fact.category}, by {fact.source}" for fact in shown.attributes}
    rows = [
        (group, _word(word), found.get(word or "", ""))
        for group, word in zip(shown.groups, shown.identifier, strict=True)
    ]
    scene.narrator.table(("position", "word", "found as"), rows)


def lose_a_worker(scene: Scene) -> bool:
    """SIGKILL one of the workers in the middle of a stream; whether every event is accounted for.

    The catalog comes a second time, as updates: each event has a higher revision than the first.
    """
    items = scene.script.items
    before = scene.replica.counts()
    victim = next(worker for worker in scene.cluster.workers.values() if worker.running)
    ingest = scene.publish("updates", within_seconds=KILL_STREAM_SECONDS)
    with scene.narrator.meter("updated", items) as meter:
        from_here = _beyond(meter, before.read)
        _watch(scene, before.read + int(items * KILL_AFTER), from_here)
        victim.kill()
        killed_at = scene.replica.counts().read - before.read
        after = _watch(scene, before.read + items, from_here)
    scene.report(ingest)
    scene.narrator.say(
        f"[bold red]SIGKILL[/] to {victim.name} after {killed_at:,} of {items:,} updates; "
        "another worker took its shards over"
    )
    return _accounts_agree(scene, published=before.read + items, counts=after)


def _accounts_agree(scene: Scene, published: int, counts: Counts) -> bool:
    agree = counts.read == published and counts.balanced and counts.dead == 0
    sign = "=" if agree else "[bold red]is not[/]"
    scene.narrator.say(
        f"published {published:,} = read {counts.read:,} {sign} put {counts.put:,} + dropped "
        f"{counts.dropped:,} + stale {counts.stale:,} + dead letters {counts.dead:,}"
    )
    return agree


def _watch(scene: Scene, events: int, meter: Meter) -> Counts:
    """Until the replica has applied that many events; gives up only when nothing moves."""
    counts = scene.replica.counts()
    meter(counts.read)
    while counts.read < events:
        counts = scene.until(_more_than(scene, counts.read), "the replica to apply another event")
        meter(counts.read)
    return counts


def _more_than(scene: Scene, events: int) -> Callable[[], Counts | None]:
    def look() -> Counts | None:
        counts = scene.replica.counts()
        return counts if counts.read > events else None

    return look


def _beyond(meter: Meter, events: int) -> Meter:
    return lambda done: meter(done - events)


def _word(word: str | None) -> str:
    return f"[bold green]{escape(word)}[/]" if word else "[dim]empty[/]"
