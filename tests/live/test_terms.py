"""Terms in time, as one, and in each other's slots, on Apache Kafka while processes die and lag."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from tests.live.killer import wait_for
from tests.live.ledger import SOURCE, Event, Ledger, bind, release, upserts

from kae.deploy.cluster import WORKER_READY, Cluster
from kae.deploy.processes import logged
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.streams.clock import now_ms
from kae.streams.events.term_data import (
    BindData,
    CampaignData,
    CampaignReleaseData,
    CampaignTerm,
    SelectorData,
)
from kae.streams.events.terms import encode_term
from kae.streams.replica.embedded import Replica
from kae.streams.replica.search import Search
from kae.streams.replica.view import View

pytestmark = pytest.mark.alone
CAMPAIGN_TERMS = 200
WITHIN_MS = 1000
# Time for every shard to attach it, on a busy machine too.
BEGINS_IN_MS = 2500
LASTS_MS = 1000


@pytest.fixture
def pace(pace: dict[str, object]) -> dict[str, object]:
    """A worker that is stopped keeps its shards, so that they lag."""
    return {**pace, "worker.session_timeout_seconds": 6.0, "worker.heartbeat_seconds": 1.0}


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def event(subject: str, data: object) -> Event:
    return Event(subject.encode(), encode_term(subject, data, SOURCE), is_term=True)  # type: ignore[arg-type]


@contextmanager
def every_view(replica: Replica, look: Callable[[View], None]) -> Iterator[None]:
    """Look at the replica's view without a pause, at each view that is met once."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def poll() -> None:
        number = -1
        try:
            while not stop.is_set():
                view = replica.view()
                if view.number == number:
                    time.sleep(0)  # lets the writers have the interpreter
                    continue
                number = view.number
                look(view)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=poll, name="checker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert failures == []


def visible(view: View) -> set[str]:
    return {bound.term for bound in view.visible.values()}


def test_no_view_has_a_part_of_a_campaign_through_a_kill_and_its_release(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    cluster.start_worker("one")
    cluster.start_worker("two")
    ledger.publish(upserts(catalog[:CAMPAIGN_TERMS]))
    terms = [
        CampaignTerm(f"campaignword{n}", SelectorData(items=[item.id]))
        for n, item in enumerate(catalog[:CAMPAIGN_TERMS])
    ]
    seen: set[tuple[int, int]] = set()
    with Replica.open(cluster.topology) as replica:

        def look(view: View) -> None:
            seen.add((len(view.visible), len(view.trie.bindings & view.visible.keys())))
            assert len(view.trie.bindings) == len(view.visible)

        for item in catalog[:CAMPAIGN_TERMS]:
            replica.wait_for(item=item.id, revision=1, within_seconds=30)
        with every_view(replica, look):
            ledger.publish([event("spring", CampaignData(1, terms))])
            cluster.workers["two"].kill()
            wait_for(lambda: len(replica.view().visible) == CAMPAIGN_TERMS, "the campaign")
            ledger.publish([event("spring", CampaignReleaseData(2))])
            wait_for(lambda: not replica.view().visible, "its release")
    assert seen == {(0, 0), (CAMPAIGN_TERMS, CAMPAIGN_TERMS)}


def test_schedules_begin_and_end_in_time_though_the_registrar_is_killed(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    """Before, at and after the moment at which a term begins; it is dead when each ends."""
    cluster.start_worker("one")
    ledger.publish(upserts(catalog[:300]))
    with Replica.open(cluster.topology) as replica:
        for revision, killed_after_ms in enumerate((-400, 0, 400), start=1):
            keep_time(cluster, ledger, replica, revision, killed_after_ms)


def keep_time(
    cluster: Cluster, ledger: Ledger, replica: Replica, revision: int, killed_after_ms: int
) -> None:
    begins = now_ms() + BEGINS_IN_MS
    ends = begins + LASTS_MS
    selector = SelectorData(where='brand = "hp"')
    changes: list[tuple[int, bool]] = []

    def look(view: View) -> None:
        if not changes or changes[-1][1] != bool(view.visible):
            changes.append((view.swapped_ms, bool(view.visible)))

    with every_view(replica, look):
        data = BindData(revision, selector, from_=at(begins), until=at(ends))
        ledger.publish([event("quietcore", data)])
        wait_for(lambda: replica.view().bindings.activated_ms, "every shard to attach", 10)
        wait_for(lambda: now_ms() >= begins + killed_after_ms, "the moment to kill")
        cluster.workers["one"].kill()
        wait_for(lambda: len(changes) == 3, "the end of the term", 10)
        assert replica.view().bindings.bound
        cluster.start_worker("one", wait=False)
        cluster.workers["one"].wait_ready(logged(WORKER_READY), within_seconds=60)
        wait_for(lambda: not replica.view().bindings.bound, "its slot to be given back")
    (_, first), (began_ms, begun), (ended_ms, still) = changes
    assert (first, begun, still) == (False, True, False)
    assert begins <= began_ms < begins + WITHIN_MS
    assert ends <= ended_ms < ends + WITHIN_MS


def test_a_slot_passes_to_another_term_without_answering_for_the_first(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], codebook: Codebook
) -> None:
    cluster.start_worker("one")
    cluster.start_worker("two")
    ledger.publish(upserts(catalog[:400]))
    half = {item.id for item in catalog[:200]}
    rest = {item.id for item in catalog[200:400]}
    answers = {"firstword": half, "secondword": rest, "thirdword": rest}
    search = Search(codebook, cluster.topology.replica.beam)
    with Replica.open(cluster.topology) as replica:

        def look(view: View) -> None:
            for term, own in answers.items():
                hits = search.answer(view, term, 1000).items
                assert {hit.id for hit in hits if hit.via} <= own
                assert term in visible(view) or not hits

        def slot(term: str) -> int:
            return next(b.index for b in replica.view().bindings.bound.values() if b.term == term)

        with every_view(replica, look):
            ledger.publish([bind("firstword", items=sorted(half))])
            replica.wait_for(term="firstword", revision=1, within_seconds=30)
            first = slot("firstword")
            lagging = cluster.workers["two"]
            lagging.pause()
            ledger.publish([release("firstword", 2), bind("secondword", items=sorted(rest))])
            wait_for(lambda: "secondword" in visible(replica.view()), "the second term")
            quarantined = cluster.topology.terms.quarantine_seconds
            free_at = time.monotonic() + quarantined
            wait_for(lambda: time.monotonic() > free_at, "the quarantine")
            # It is over, and a shard has not detached: the slot may not be had.
            assert replica.view().bindings.quarantined
            assert slot("secondword") != first
            lagging.resume()
            wait_for(lambda: not replica.view().bindings.quarantined, "the slot to be free")
            ledger.publish([bind("thirdword", items=sorted(rest))])
            replica.wait_for(term="thirdword", revision=1, within_seconds=30)
            assert slot("thirdword") == first
