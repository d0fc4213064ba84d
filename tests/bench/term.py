"""The time from a term event until all its items are decodable, compared with Tantivy."""

import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

from kafka import KafkaProducer

from kae.bench.feed import bench_items
from kae.bench.filled_index import FilledIndex, filled_index
from kae.bench.latencies import TermRuns
from kae.bench.live import BenchFailed
from kae.bench.load import Load
from kae.bench.progress import track
from kae.bench.sized_selectors import SizedSelector, sized_selectors
from kae.bench.tantivy_peer import TantivyPeer
from kae.deploy.demo_context import CountingReplica
from kae.streams.events.term_data import ApproveData, BindData, ReleaseData, SelectorData
from kae.streams.events.terms import encode_term
from kae.streams.replica_api.terms import Receipt
from kae.streams.topology.types import Topology

SELECTORS = 12
TERMS_A_PEER_RUN = 4
WITHIN_SECONDS = 20.0
OTHERS_WITHIN_SECONDS = 180.0
# Of the groups that the timed terms, entities, take no slot of.
OTHER_CATEGORIES = ("modifier", "season", "style", "audience", "color")
POLLS = 200


def measure_term(
    items: int, matching: int, terms: int, workers: int, active: int = 0, approved: bool = False
) -> TermRuns:
    """Terms in turn with Tantivy, then as many terms while items arrive at half of the full rate.

    `active` other terms are in force meanwhile. With `approved`, each is proposed before, and its
    time begins with the approval by another.

    Raises: BenchFailed when a term does not lead to exactly its items; NoSelector.
    """
    selectors = sized_selectors(items, matching, SELECTORS)
    changes = {"terms.approvals": int(approved)}
    with filled_index(items, workers, changes) as line, tempfile.TemporaryDirectory() as folder:
        peer = TantivyPeer(list(bench_items(items)), Path(folder) / "tantivy")
        bench = TermBench(line, approved=approved)
        bench.bind_others(active)
        turns = cycle(selectors)
        bench.time(next(turns))  # connections are made
        idle: list[float] = []
        theirs: list[float] = []
        with track("terms", terms) as meter:
            for number in range(terms):
                if number % TERMS_A_PEER_RUN == 0:
                    numbers = selectors[len(theirs) % len(selectors)].items
                    theirs.append(peer.time_keyword(f"keyword{number}", numbers))
                idle.append(bench.time(next(turns)))
                meter(number + 1)
        poll = bench.time_polls()
        with Load(line.cluster, items, line.events_per_second / 2) as load:
            loaded: list[float] = []
            with track("terms under load", terms) as meter:
                for number in range(terms):
                    loaded.append(bench.time(next(turns)))
                    meter(number + 1)
            load_rate = load.events_per_second()
        bench.close()
    return TermRuns(
        items=items,
        workers=workers,
        matching=[len(sized.items) for sized in selectors],
        full_rate=line.events_per_second,
        load_rate=load_rate,
        idle=idle,
        loaded=loaded,
        tantivy=theirs,
        poll=poll,
        active=active,
        approved=approved,
    )


class TermBench:
    """Binds one term after the other and takes each back."""

    def __init__(self, line: FilledIndex, *, approved: bool) -> None:
        self._topology: Topology = line.cluster.topology
        self._replica: CountingReplica = line.replica
        self._producer = KafkaProducer(
            bootstrap_servers=self._topology.kafka.bootstrap, acks="all", linger_ms=0
        )
        self._terms = 0
        self._approved = approved

    def bind_others(self, count: int) -> None:
        """Have so many terms in force that the timed ones take no slot of.

        Raises: BenchFailed when they are not in time.
        """
        words = [item.title for item in bench_items(count)]
        for number, word in enumerate(words):
            group = OTHER_CATEGORIES[number % len(OTHER_CATEGORIES)]
            data = BindData(1, SelectorData(match=word), category=group, by="ann")
            self._send_bind(f"otherword{number}", data)
        if count:
            self._wait(f"otherword{count - 1}", 1, "attached", _is_attached, OTHERS_WITHIN_SECONDS)

    def time(self, sized: SizedSelector) -> float:
        """Seconds from just before the term event is sent until all its items are decodable.

        The replica's own answer is what ends it, so asking is part of the time.
        """
        self._terms += 1
        word = f"benchword{self._terms}"
        selector = SelectorData(match=sized.selector.match, where=sized.selector.where)
        began = self._send_bind(word, BindData(1, selector, by="ann"))
        receipt = self._wait(word, 1, "attached", _is_decodable)
        seconds = time.perf_counter() - began
        self._check(word, receipt, len(sized.items))
        self._send(word, encode_term(word, ReleaseData(2), "/bench"))
        self._wait(word, 2, "detached", _is_released)
        return seconds

    def time_polls(self) -> list[float]:
        """Seconds of one question for a receipt, nothing else going on."""
        times = []
        for _ in range(POLLS):
            began = time.perf_counter()
            self._replica.receipt("benchword1")
            times.append(time.perf_counter() - began)
        return times

    def close(self) -> None:
        self._producer.close()

    def _send_bind(self, word: str, data: BindData) -> float:
        """Returns the moment just before that was sent upon which it is carried out."""
        began = time.perf_counter()
        self._send(word, encode_term(word, data, "/bench"))
        if self._approved:
            began = time.perf_counter()
            self._send(word, encode_term(word, ApproveData(2, data.revision, "ben"), "/bench"))
        return began

    def _send(self, word: str, event: bytes) -> None:
        topic = self._topology.terms_topic
        self._producer.send(topic, key=word.encode(), value=event, partition=0)

    def _wait(
        self,
        word: str,
        revision: int,
        stage: str,
        done: Callable[[Receipt], bool],
        within_seconds: float = WITHIN_SECONDS,
    ) -> Receipt:
        deadline = time.perf_counter() + within_seconds
        while True:
            receipt = self._replica.receipt(word, revision, stage, WITHIN_SECONDS)
            if receipt is not None and done(receipt):
                return receipt
            # A proposal is told at once: its approval may still be on its way.
            if time.perf_counter() > deadline:
                raise BenchFailed(f"{word}: not done after {within_seconds:g} s: {receipt}")

    def _check(self, word: str, receipt: Receipt, expected: int) -> None:
        if receipt.attached_items != expected:
            raise BenchFailed(
                f"{word}: leads to {receipt.attached_items:,} items, not to {expected:,}"
            )
        hits = self._replica.search(word, 1)
        if [hit.via for hit in hits] != [word]:
            raise BenchFailed(f"{word}: a search does not find an item by it")


def _is_decodable(receipt: Receipt) -> bool:
    return receipt.state == "bound" and _done(receipt, ("attached", "decodable"))


def _is_attached(receipt: Receipt) -> bool:
    return receipt.state == "bound" and _done(receipt, ("attached",))


def _is_released(receipt: Receipt) -> bool:
    return receipt.state == "released" and _done(receipt, ("detached",))


def _done(receipt: Receipt, wanted: Sequence[str]) -> bool:
    return all(stage.done for stage in receipt.stages if stage.stage in wanted)
