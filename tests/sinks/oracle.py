"""What an index must be: the simplest fold of its input, to compare everything with."""

from collections.abc import Iterable, Sequence

from kae.encoders.extraction.assign import Encoder
from kae.encoders.selector import compile_selector
from kae.sinks.log.edits import Counts
from kae.sinks.log.term_changes import Bind, TermChange
from kae.sinks.store.plan import Change, Upsert
from kae.sinks.store.state import content_hash


def active_terms(changes: Iterable[TermChange]) -> dict[str, Bind]:
    """The newest revision of each term; of equal revisions the first counts."""
    newest: dict[str, TermChange] = {}
    for change in changes:
        if change.key not in newest or change.revision > newest[change.key].revision:
            newest[change.key] = change
    return {term: change for term, change in newest.items() if isinstance(change, Bind)}


def expected_hash(changes: Sequence[Change], terms: Iterable[Bind], encoder: Encoder) -> str:
    """Items by (revision, delete before upsert, content), each with the terms that match it."""
    newest: dict[str, Change] = {}
    for change in changes:
        if change.id not in newest or change.order > newest[change.id].order:
            newest[change.id] = change
    selectors = {bind.term: compile_selector(bind.selector) for bind in terms}
    rows = []
    for item_id, change in sorted(newest.items(), key=lambda pair: pair[0].encode()):
        if isinstance(change, Upsert):
            encoded = encoder.encode(change.item)
            found = [
                term
                for term, selector in selectors.items()
                if selector.matches(item_id, encoded.text, encoded.attributes)
            ]
            rows.append((item_id, change.revision, encoded.identifier, sorted(found)))
    return content_hash(rows)


def expected_counts(changes: Iterable[Change | None]) -> Counts:
    """What became of each record of one partition, in its order; None did not decode."""
    newest: dict[str, Change] = {}
    counts = {"put": 0, "dropped": 0, "stale": 0, "dead": 0}
    for change in changes:
        if change is None:
            counts["dead"] += 1
        elif change.id in newest and change.order <= newest[change.id].order:
            counts["stale"] += 1
        else:
            newest[change.id] = change
            counts["put" if isinstance(change, Upsert) else "dropped"] += 1
    return Counts(sum(counts.values()), **counts)


def read_again(
    changes: Sequence[Change | None], resets: Iterable[tuple[int, int]]
) -> list[Change | None]:
    """The records of one partition as a shard reads them that is reset from places to places."""
    read: list[Change | None] = []
    start = 0
    for at, to in resets:
        read += changes[start:at]
        start = to
    return [*read, *changes[start:]]
