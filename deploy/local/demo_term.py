"""The demo's chapters about a term: a word nobody knows, bound, found, and released again."""

import time
from dataclasses import dataclass

from rich.markup import escape

from kae.deploy.demo_scene import STUCK_SECONDS, DemoFailed, Scene
from kae.encoders.text.normal_form import normalise
from kae.streams.events.term_data import BindData, ReleaseData, SelectorData
from kae.streams.replica_api.answers import Hit
from kae.streams.replica_api.terms import Receipt
from kae.streams.terms.publish import publish, wait_for_term


@dataclass(frozen=True, slots=True)
class Bound:
    """A term in effect, as the replica tells it."""

    attached_items: int
    time_to_effect_ms: int


def search_unknown(scene: Scene) -> bool:
    """Whether a search for the term finds nothing."""
    hits = scene.replica.search(scene.script.term)
    _say_found(scene, hits)
    return not hits


def bind(scene: Scene) -> Bound:
    """Bind the term to the selector's items, and search until it leads to one of them.

    Raises: TermRefused, TermTimedOut; DemoFailed if the selector has no items.
    """
    term, where = scene.script.term, scene.script.where
    revision = _now_ms()
    data = BindData(revision, SelectorData(where=where), owner="demo", reason="nobody knew it")
    publish(scene.cluster.topology, term, data)
    found_ms: list[int] = []

    def search(_: Receipt) -> None:
        if not found_ms and _by_term(scene):
            found_ms.append(_now_ms())

    receipt = wait_for_term(scene.replica, term, revision, STUCK_SECONDS, search)
    search(receipt)
    if not found_ms:
        raise DemoFailed(f"no product is one where {where}; try --where 'brand = \"canon\"'")
    accepted_ms = receipt.stages[0].at_ms or revision
    scene.narrator.say(
        f"[bold]{escape(term)}[/] bound to the {receipt.attached_items:,} products where "
        f"[bold]{escape(where)}[/]; its receipt:"
    )
    _show_receipt(scene, receipt, accepted_ms)
    effect_ms = found_ms[0] - accepted_ms
    scene.narrator.say(
        f"the first search that found it: [bold green]{effect_ms} ms[/] after the event"
    )
    return Bound(receipt.attached_items, effect_ms)


def search_bound(scene: Scene) -> bool:
    """Whether a search for the term finds items by it."""
    hits = scene.replica.search(scene.script.term)
    _say_found(scene, hits)
    return bool(_by_term(scene))


def release(scene: Scene) -> bool:
    """Release the term; whether a search for it finds nothing again."""
    revision = _now_ms()
    publish(scene.cluster.topology, scene.script.term, ReleaseData(revision))
    receipt = wait_for_term(scene.replica, scene.script.term, revision, STUCK_SECONDS)
    _show_receipt(scene, receipt, receipt.stages[0].at_ms or revision)
    hits = scene.replica.search(scene.script.term)
    _say_found(scene, hits)
    return not hits


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _by_term(scene: Scene) -> list[Hit]:
    term = normalise(scene.script.term)
    return [hit for hit in scene.replica.search(scene.script.term) if hit.via == term]


def _show_receipt(scene: Scene, receipt: Receipt, began_ms: int) -> None:
    rows = [
        (stage.stage, f"{stage.count}/{stage.of}", f"+{(stage.at_ms or began_ms) - began_ms} ms")
        for stage in receipt.stages
    ]
    scene.narrator.table(("stage", "reached", "time"), rows)


def _say_found(scene: Scene, hits: list[Hit]) -> None:
    found = "" if hits else "0 results"
    scene.narrator.say(f"search [bold]{escape(scene.script.term)}[/]: {found}")
    for hit in hits:
        scene.narrator.say(f"  {_path(hit)}  [dim]{escape(hit.title)}[/]")


def _path(hit: Hit) -> str:
    """The words of the path that led to the item, the term's among them highlighted."""
    return " · ".join(
        "-"
        if word is None
        else f"[bold green]{escape(word)}[/]"
        if word == hit.via
        else escape(word)
        for word in hit.path
    )
