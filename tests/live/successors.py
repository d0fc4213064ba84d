"""A second generation beside a cluster's first, and clients that check every answer they get."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TypeVar

import httpx
import msgspec
import numpy as np
from tests.fetching import fetch
from tests.live.asking import told
from tests.live.killer import wait_for

from kae.deploy.cluster import Cluster
from kae.encoders.categories import POSITIONS, Identifier
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.fitting.build import build_codebook
from kae.encoders.items import Item
from kae.sinks.log.edits import PutItem
from kae.streams.kafka.topics import apply_topics
from kae.streams.replica.embedded import Replica
from kae.streams.replica_api import words
from kae.streams.replica_api.answers import ItemShown, Words
from kae.streams.replica_api.status import GenerationsShown
from kae.streams.topology.types import Topology

C = TypeVar("C")

QUERIES = ("black toner cartridge", "hp notebook", "usb cable", "quietcore", "memory")


def second_generation(cluster: Cluster, items: Sequence[Item], folder: Path) -> Topology:
    """Generation 2: its positions in the other order, its words those of other items."""
    groups = list(reversed(cluster.topology.model_dump(mode="json")["groups"]))
    changes: dict[str, object] = {"generation": 2, "groups": groups}
    changes["codebook.path"] = str(folder / "codebook")
    topology = cluster.topology.edited(changes)
    build_codebook(
        lambda: items, topology.codebook_groups, topology.catalog.fields, folder / "codebook"
    )
    written = topology.write(folder / "topology.yaml")
    apply_topics(written)
    return written


def announce_both(cluster: Cluster, second: Topology) -> None:
    """Returns once every replica of the cluster follows both generations."""
    for topology in (cluster.topology, second):
        told(cluster, "generation", "announce", topology=topology)
    for replica in cluster.replicas.values():
        wait_for(partial(_follows, replica.url), "the replicas to follow both")


def _follows(url: str) -> bool:
    return [one.generation for one in generations(url).generations] == [1, 2]


def generations(url: str, hashed: bool = False) -> GenerationsShown:
    """What a replica tells of the generations that it follows."""
    asked = fetch(f"{url}/generations?hash={int(hashed)}", timeout_seconds=30)
    return msgspec.json.decode(asked.raise_for_status().content, type=GenerationsShown)


class Expected:
    """What the items that stay as they are have for identifiers, in each generation."""

    def __init__(self, codebooks: dict[int, Codebook], items: Sequence[Item]) -> None:
        self.identifiers: dict[int, dict[str, Identifier]] = {}
        self.words: dict[int, dict[str, Words]] = {}
        for generation, codebook in codebooks.items():
            encoded = dict(
                zip([i.id for i in items], Encoder(codebook).encode_all(items), strict=True)
            )
            self.identifiers[generation] = {i: one.identifier for i, one in encoded.items()}
            self.words[generation] = {
                i: words.own_words(
                    codebook,
                    PutItem(
                        i, 0, 1, b"", one.identifier, 0.0, (), one.title, one.text, one.attributes
                    ),
                )
                for i, one in encoded.items()
            }


class Clients:
    """Threads that ask without pause until they are told to end; each answer is checked."""

    def __init__(self, expected: Expected) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()  # (who, generation)
        self.wrong: list[str] = []
        self._expected = expected
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []

    def search(self, url: str) -> None:
        """Ask a replica's process for queries and for items, over HTTP."""
        ids = list(self._expected.words[1])

        def ask(http: httpx.Client, turn: int) -> None:
            found = http.get("/search", params={"q": QUERIES[turn % len(QUERIES)]})
            answer = found.raise_for_status().json()
            generation = answer["version"]["generation"]
            self._count(url, generation)
            for hit in answer["items"]:
                known = self._expected.words[generation].get(hit["id"])
                self._check(known is None or list(known) == hit["identifier"], "hit", hit)
            item_id = ids[turn * 7 % len(ids)]
            answered = http.get(f"/items/{item_id}").raise_for_status()
            item = msgspec.json.decode(answered.content, type=ItemShown)
            own = self._expected.identifiers[item.version.generation][item_id]
            self._check(item.slots == own, "item", item)

        self._start(lambda: httpx.Client(base_url=url, timeout=30, trust_env=False), ask)

    def decode(self, replica: Replica, name: str) -> None:
        """Decode greedily, by the mask, from a random first slot, down to the items behind."""
        chance = np.random.default_rng(5)

        def ask(_none: None, _turn: int) -> None:
            decode = replica.decode()
            generation = decode.version.generation
            self._count(name, generation)
            path = np.zeros((1, 0), np.uint16)
            for _ in range(POSITIONS):
                allowed = np.flatnonzero(decode.mask(path)[0])
                path = np.append(path, [[chance.choice(allowed)]], axis=1).astype(np.uint16)
            a, b, c, d, e, f = path[0].tolist()
            behind = list(decode.items((a, b, c, d, e, f), 10))
            self._check(bool(behind), "nothing behind a path that the mask allowed", path)
            for item in behind:
                known = self._expected.identifiers[generation].get(item.id)
                self._check(known is None or known == item.identifier, "decoded", item)

        self._start(nullcontext, ask)

    def seen(self) -> set[tuple[str, int]]:
        return set(self.answers)

    def end(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(60)

    def _start(
        self, connect: Callable[[], AbstractContextManager[C]], ask: Callable[[C, int], None]
    ) -> None:
        def run() -> None:
            turn = 0
            try:
                with connect() as connection:
                    while not self._ending.is_set():
                        ask(connection, turn)
                        turn += 1
            except Exception as error:
                self.wrong.append(repr(error))

        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def _count(self, who: str, generation: int) -> None:
        self.answers[who, generation] += 1

    def _check(self, holds: bool, what: str, answer: object) -> None:
        if not holds:
            self.wrong.append(f"{what}: {answer}")
