"""Word statistics against plain counts, after puts, repeats, changes and drops in any order."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from kae.encoders.categories import POSITIONS, Slot
from kae.encoders.items import Attribute, AttributeSource, Encoded, Item
from kae.encoders.text.spelling import token_spelling_key
from kae.sinks.log.edits import PutItem, decode_edit
from kae.sinks.log.protocol import MemoryLog
from kae.sinks.postings.search_index import SearchIndex
from kae.sinks.postings.statistics import ATTRIBUTE_FREQUENCY, WordStatistics
from kae.sinks.shard import Shard
from kae.sinks.store.plan import Change, Delete, Upsert, prepare
from kae.sinks.trie.shard_table import ShardTable

WORDS = ("cable", "cables", "grey", "gray", "usb", "toner")
SHARDS = 2

Frequencies = dict[tuple[int, str], float]  # by shard and item id


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


class SearchedShards:
    """Two shards, each with a search index of its store."""

    def __init__(self, folder: Path) -> None:
        self._shards = [
            Shard(folder / f"{n}", MemoryLog(), owner="w", fingerprint="f", max_bytes=900_000)
            for n in range(SHARDS)
        ]
        self._tables = [ShardTable() for _ in range(SHARDS)]
        self._indexes = [
            SearchIndex(shard.store, table)
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
        shard.append_items(plan, 0, shard.next_offset + 1, self._revision).apply()
        self._tables[number].apply(plan.edits, self._revision, 0)
        self._indexes[number].note(plan.edits)

    def statistics(self) -> WordStatistics:
        return WordStatistics(index.refresh() for index in self._indexes)

    def frequencies(self, statistics: WordStatistics, *tokens: str) -> Frequencies:
        """The items that have all of the words, with the frequency of the rarest."""
        postings = statistics.postings(tokens)
        assert postings.items.tolist() == sorted(postings.items.tolist())
        numbers = dict(zip(postings.items.tolist(), postings.frequencies.tolist(), strict=True))
        return {
            (shard, item.id): numbers[number]
            for shard, item in self._items()
            if (number := self._number(statistics, shard, item)) in numbers
        }

    def lengths(self, statistics: WordStatistics) -> dict[str, float]:
        return {
            item.id: float(statistics.lengths(np.array([self._number(statistics, shard, item)]))[0])
            for shard, item in self._items()
        }

    def _items(self) -> Iterator[tuple[int, PutItem]]:
        for number, shard in enumerate(self._shards):
            for row in shard.store.rows_at(range(shard.store.next_ordinal)):
                item = decode_edit(row)
                assert isinstance(item, PutItem)
                yield number, item

    def _number(self, statistics: WordStatistics, shard: int, item: PutItem) -> int:
        numbers = statistics.numbers(
            np.array([shard], np.uint16), np.array([item.ordinal], np.uint32)
        )
        return int(numbers[0])

    def close(self) -> None:
        for shard in self._shards:
            shard.close()


@pytest.fixture
def shards(tmp_path: Path) -> Iterator[SearchedShards]:
    made = SearchedShards(tmp_path)
    yield made
    made.close()


def counted(live: dict[tuple[int, str], Item], token: str) -> Frequencies:
    found = {}
    for key, item in live.items():
        times = Counter(map(token_spelling_key, item.title.split()))[token]
        if times or token in map(token_spelling_key, item.fields["words"]):
            found[key] = float(times or ATTRIBUTE_FREQUENCY)
    return found


def shares(statistics: WordStatistics, token: str) -> dict[Slot, float]:
    return {
        Slot(position, index): share
        for position, by_index in enumerate(statistics.slot_shares(statistics.postings((token,))))
        for index, share in enumerate(by_index.tolist())
        if share
    }


def counted_shares(live: dict[tuple[int, str], Item], token: str) -> dict[Slot, float]:
    with_word = counted(live, token)
    under: Counter[Slot] = Counter()
    having: Counter[Slot] = Counter()
    for key, item in live.items():
        slots = [Slot(p, int(i)) for p, i in enumerate(item.fields["slots"]) if i != "0"]
        under.update(slots)
        if key in with_word:
            having.update(slots)
    return {slot: having[slot] / under[slot] for slot in having}


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_those_of_the_live_items_after_any_history(
    shards: SearchedShards, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(150):
        shard, item_id = int(rng.integers(0, SHARDS)), f"i{rng.integers(0, 30)}"
        if rng.random() < 0.25:
            shards.drop(shard, item_id)
        else:
            text = " ".join(rng.choice(WORDS, rng.integers(0, 6)))
            slots = "".join(map(str, rng.integers(0, 4, 2)))
            shards.put(shard, item_id, text, rng.choice(WORDS, 1).tolist(), slots)
        if rng.random() < 0.2:
            statistics = shards.statistics()
            for token in ("cable", "gray", "usb", "toner", "nothing"):
                assert shards.frequencies(statistics, token) == counted(shards.live, token)
                assert shares(statistics, token) == pytest.approx(
                    counted_shares(shards.live, token)
                )


def test_a_snapshot_does_not_change_when_items_do(shards: SearchedShards) -> None:
    shards.put(0, "a", "usb cable", slots="12")
    shards.put(0, "b", "usb hub", slots="13")
    statistics = shards.statistics()
    shards.put(0, "a", "toner", slots="22")
    shards.statistics()
    assert shards.frequencies(statistics, "usb") == {(0, "a"): 1.0, (0, "b"): 1.0}
    assert shares(statistics, "cable") == {Slot(0, 1): 0.5, Slot(1, 2): 1.0}


def test_several_words_have_the_frequency_of_the_rarest_of_them(shards: SearchedShards) -> None:
    shards.put(0, "a", "usb usb cable")
    shards.put(0, "b", "usb")
    shards.put(1, "c", "cable usb cable usb")
    assert shards.frequencies(shards.statistics(), "usb", "cable") == {(0, "a"): 1.0, (1, "c"): 2.0}


def test_the_empty_slot_has_no_share(shards: SearchedShards) -> None:
    shards.put(0, "a", "usb", slots="10")
    statistics = shards.statistics()
    assert shares(statistics, "usb") == {Slot(0, 1): 1.0}
    assert len(statistics.slot_shares(statistics.postings(("usb",)))) == POSITIONS


def test_lengths_are_in_tokens_and_attributes_that_the_text_lacks(shards: SearchedShards) -> None:
    shards.put(1, "a", "usb usb cable", ("cables", "gray"))
    shards.put(0, "b", "usb")
    shards.put(0, "c", "usb cable")
    shards.drop(0, "b")
    statistics = shards.statistics()
    assert shards.lengths(statistics) == {"a": 4.0, "c": 2.0}
    assert statistics.mean_length == 3.0


def test_without_items_there_are_no_postings(shards: SearchedShards) -> None:
    statistics = shards.statistics()
    assert shards.frequencies(statistics, "usb") == {}
    assert statistics.mean_length == 0.0
