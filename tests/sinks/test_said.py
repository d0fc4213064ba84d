"""What items say, against plain counts: after puts, repeats, changes and drops, in any order."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from kae.encoders.categories import POSITIONS, Slot
from kae.encoders.items import Attribute, AttributeSource, Encoded, Item
from kae.encoders.text.spelling import token_spelling
from kae.sinks.log.edits import PutItem, decode_edit
from kae.sinks.log.protocol import MemoryLog
from kae.sinks.postings.inverted_index import InvertedIndex
from kae.sinks.postings.statistics import ATTRIBUTE_TIMES, WordStatistics
from kae.sinks.shard import Shard
from kae.sinks.store.plan import Change, Delete, Upsert, prepare
from kae.sinks.trie.shard_table import ShardTable

WORDS = ("cable", "cables", "grey", "gray", "usb", "toner")
SHARDS = 2

Times = dict[tuple[int, str], float]  # by shard and item id


class Plain:
    """Encodes an item as its fields say it: `words`, and a `slot` for position 0 and 1."""

    def encode_all(self, items: Sequence[Item]) -> list[Encoded]:
        return [self._encode(item) for item in items]

    def _encode(self, item: Item) -> Encoded:
        words = [
            Attribute(0, word, word, AttributeSource.FIELD, 1.0) for word in item.fields["words"]
        ]
        one, other = (int(index) for index in item.fields["slots"])
        return Encoded(item.title, item.title, tuple(words), (one, other, 0, 0, 0, 0))


class Line:
    """Two shards, each with the sayings of its store."""

    def __init__(self, folder: Path) -> None:
        self._shards = [
            Shard(folder / f"{n}", MemoryLog(), owner="w", fingerprint="f", max_bytes=900_000)
            for n in range(SHARDS)
        ]
        self._tables = [ShardTable() for _ in range(SHARDS)]
        self._sayings = [
            InvertedIndex(shard.store, table)
            for shard, table in zip(self._shards, self._tables, strict=True)
        ]
        self._revision = 0
        self.live: dict[tuple[int, str], Item] = {}

    def put(
        self, shard: int, item_id: str, text: str, words: Sequence[str] = (), slots: str = "11"
    ) -> None:
        item = Item(item_id, text, "", {"words": list(words), "slots": list(slots)})
        self._change(shard, Upsert(item_id, self._next(), b"", item))
        self.live[shard, item_id] = item

    def drop(self, shard: int, item_id: str) -> None:
        self._change(shard, Delete(item_id, self._next(), b""))
        self.live.pop((shard, item_id), None)

    def _next(self) -> int:
        self._revision += 1
        return self._revision

    def _change(self, number: int, change: Change) -> None:
        shard = self._shards[number]
        plan = shard.plan_items(prepare([change], Plain()), {})
        shard.settle(shard.send_items(plan, 0, shard.next_offset + 1, self._revision))
        self._tables[number].apply(plan.edits, self._revision, 0)
        self._sayings[number].note(plan.edits)

    def said(self) -> WordStatistics:
        return WordStatistics(sayings.capture() for sayings in self._sayings)

    def times(self, said: WordStatistics, *tokens: str) -> Times:
        """Who says all of the tokens, and how often."""
        mentions = said.saying(tokens)
        assert mentions.items.tolist() == sorted(mentions.items.tolist())
        numbers = dict(zip(mentions.items.tolist(), mentions.times.tolist(), strict=True))
        return {
            (shard, item.id): numbers[number]
            for shard, item in self._items()
            if (number := self._number(said, shard, item)) in numbers
        }

    def lengths(self, said: WordStatistics) -> dict[str, float]:
        return {
            item.id: float(said.lengths(np.array([self._number(said, shard, item)]))[0])
            for shard, item in self._items()
        }

    def _items(self) -> Iterator[tuple[int, PutItem]]:
        for number, shard in enumerate(self._shards):
            for row in shard.store.rows_at(range(shard.store.next_ordinal)):
                item = decode_edit(row)
                assert isinstance(item, PutItem)
                yield number, item

    def _number(self, said: WordStatistics, shard: int, item: PutItem) -> int:
        numbers = said.numbers(np.array([shard], np.uint16), np.array([item.ordinal], np.uint32))
        return int(numbers[0])

    def close(self) -> None:
        for shard in self._shards:
            shard.close()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path)
    yield made
    made.close()


def counted(live: dict[tuple[int, str], Item], token: str) -> Times:
    found = {}
    for key, item in live.items():
        times = Counter(map(token_spelling, item.title.split()))[token]
        if times or token in map(token_spelling, item.fields["words"]):
            found[key] = float(times or ATTRIBUTE_TIMES)
    return found


def shares(said: WordStatistics, token: str) -> dict[Slot, float]:
    return {
        Slot(position, index): share
        for position, by_index in enumerate(said.shares(said.saying((token,))))
        for index, share in enumerate(by_index.tolist())
        if share
    }


def counted_shares(live: dict[tuple[int, str], Item], token: str) -> dict[Slot, float]:
    saying = counted(live, token)
    under: Counter[Slot] = Counter()
    said: Counter[Slot] = Counter()
    for key, item in live.items():
        slots = [Slot(p, int(i)) for p, i in enumerate(item.fields["slots"]) if i != "0"]
        under.update(slots)
        if key in saying:
            said.update(slots)
    return {slot: said[slot] / under[slot] for slot in said}


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_those_of_the_live_items_after_any_history(line: Line, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(150):
        shard, item_id = int(rng.integers(0, SHARDS)), f"i{rng.integers(0, 30)}"
        if rng.random() < 0.25:
            line.drop(shard, item_id)
        else:
            text = " ".join(rng.choice(WORDS, rng.integers(0, 6)))
            slots = "".join(map(str, rng.integers(0, 4, 2)))
            line.put(shard, item_id, text, rng.choice(WORDS, 1).tolist(), slots)
        if rng.random() < 0.2:
            said = line.said()
            for token in ("cable", "gray", "usb", "toner", "nothing"):
                assert line.times(said, token) == counted(line.live, token)
                assert shares(said, token) == pytest.approx(counted_shares(line.live, token))


def test_what_a_view_holds_does_not_change_when_items_do(line: Line) -> None:
    line.put(0, "a", "usb cable", slots="12")
    line.put(0, "b", "usb hub", slots="13")
    said = line.said()
    line.put(0, "a", "toner", slots="22")
    line.said()
    assert line.times(said, "usb") == {(0, "a"): 1.0, (0, "b"): 1.0}
    assert shares(said, "cable") == {Slot(0, 1): 0.5, Slot(1, 2): 1.0}


def test_several_tokens_are_said_as_often_as_the_rarest_of_them(line: Line) -> None:
    line.put(0, "a", "usb usb cable")
    line.put(0, "b", "usb")
    line.put(1, "c", "cable usb cable usb")
    assert line.times(line.said(), "usb", "cable") == {(0, "a"): 1.0, (1, "c"): 2.0}


def test_nothing_is_said_of_the_empty_slot(line: Line) -> None:
    line.put(0, "a", "usb", slots="10")
    assert shares(line.said(), "usb") == {Slot(0, 1): 1.0}
    assert len(line.said().shares(line.said().saying(("usb",)))) == POSITIONS


def test_lengths_are_in_tokens_and_attributes_that_the_text_lacks(line: Line) -> None:
    line.put(1, "a", "usb usb cable", ("cables", "gray"))
    line.put(0, "b", "usb")
    line.put(0, "c", "usb cable")
    line.drop(0, "b")
    said = line.said()
    assert line.lengths(said) == {"a": 4.0, "c": 2.0}
    assert said.mean_length == 3.0


def test_without_items_nothing_is_said(line: Line) -> None:
    said = line.said()
    assert line.times(said, "usb") == {}
    assert said.mean_length == 0.0
