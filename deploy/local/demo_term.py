"""The chapters of the demo about a term: an unknown word is bound, found, and released again."""

import time
from dataclasses import dataclass

from rich.markup import escape

from kae.deploy.demo_context import STUCK_SECONDS, DemoContext, DemoFailed
from kae.encoders.text.normal_form import normalise
from kae.streams.events.term_data import BindData, ReleaseData, SelectorData
from kae.streams.replica_api.answers import Hit
from kae.streams.replica_api.terms import Receipt
from kae.streams.terms.publish import publish, wait_for_term


@dataclass(frozen=True, slots=True)
class Bound:
    """The result of binding the term."""

    attached_items: int
    time_to_effect_ms: int


def search_unknown(demo: DemoContext) -> bool:
    """Search for the term; returns whether nothing is found."""
    hits = demo.replica.search(demo.settings.term)
    _say_found(demo, hits)
    return not hits


def bind(demo: DemoContext) -> Bound:
    """Bind the term to the selector's items, and search until it leads to one of them.

    Raises: TermRefused, TermTimedOut; DemoFailed if the selector has no items.
    """
    term, where = demo.settings.term, demo.settings.where
    revision = _now_ms()
    data = BindData(revision, SelectorData(where=where), owner="demo", reason="unknown word")
    publish(demo.cluster.topology, term, data)
    found_ms: list[int] = []

    def search(_: Receipt) -> None:
        if not found_ms and _by_term(demo):
            found_ms.append(_now_ms())

    receipt = wait_for_term(demo.replica, term, revision, STUCK_SECONDS, search)
    search(receipt)
    if not found_ms:
        raise DemoFailed(f"no product is one where {where}; try --where 'brand = \"canon\"'")
    accepted_ms = receipt.stages[0].at_ms or revision
    demo.output.say(
        f"[bold]{escape(term)}[/] bound to the {receipt.attached_items:,} products where "
        f"[bold]{escape(where)}[/]; its receipt:"
    )
    _show_receipt(demo, receipt, accepted_ms)
    effect_ms = found_ms[0] - accepted_ms
    demo.output.say(f"first found by a search [bold green]{effect_ms} ms[/] after the event")
    return Bound(receipt.attached_items, effect_ms)


def search_bound(demo: DemoContext) -> bool:
    """Search for the term; returns whether it finds items."""
    hits = demo.replica.search(demo.settings.term)
    _say_found(demo, hits)
    return bool(_by_term(demo))


def release(demo: DemoContext) -> bool:
    """Release the term; returns whether a search for it finds nothing again."""
    revision = _now_ms()
    publish(demo.cluster.topology, demo.settings.term, ReleaseData(revision))
    receipt = wait_for_term(demo.replica, demo.settings.term, revision, STUCK_SECONDS)
    _show_receipt(demo, receipt, receipt.stages[0].at_ms or revision)
    hits = demo.replica.search(demo.settings.term)
    _say_found(demo, hits)
    return not hits


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _by_term(demo: DemoContext) -> list[Hit]:
    term = normalise(demo.settings.term)
    return [hit for hit in demo.replica.search(demo.settings.term) if hit.via == term]


def _show_receipt(demo: DemoContext, receipt: Receipt, began_ms: int) -> None:
    rows = [
        (stage.stage, f"{stage.count}/{stage.of}", f"+{(stage.at_ms or began_ms) - began_ms} ms")
        for stage in receipt.stages
    ]
    demo.output.table(("stage", "reached by", "time"), rows)


def _say_found(demo: DemoContext, hits: list[Hit]) -> None:
    found = "" if hits else "0 results"
    demo.output.say(f"search [bold]{escape(demo.settings.term)}[/]: {found}")
    for hit in hits:
        demo.output.say(f"  {_path(hit)}  [dim]{escape(hit.title)}[/]")


def _path(hit: Hit) -> str:
    """The words of the path to the item; the term is highlighted."""
    return " · ".join(
        "-"
        if word is None
        else f"[bold green]{escape(word)}[/]"
        if word == hit.via
        else escape(word)
        for word in hit.path
    )
