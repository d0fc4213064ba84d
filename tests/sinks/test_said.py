"""What items say, against plain counts: after puts, repeats, changes and drops, in any order."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from kae.encoders.attributes import Attribute, Source
from kae.encoders.categories import Identifier, Slot
from kae.encoders.spelling import token_spelling
from kae.sinks.edits import DropItem, PutItem, ShardEdit
from kae.sinks.said import ATTRIBUTE_TIMES, Said
from kae.sinks.sayings import Sayings
from kae.sinks.shard_table import ShardTable
from kae.sinks.trie import TrieView

WORDS = ("cable", "cables", "grey", "gray", "usb", "toner")


def put(
    ordinal: int, text: str, fields: tuple[str, ...] = (), identifier: Identifier = (1,) * 6
) -> PutItem:
    attributes = tuple(Attribute(0, word, word, Source.FIELD, 1.0) for word in fields)
    return PutItem(f"i{ordinal}", ordinal, 1, b"", identifier, 0.0, (), "", text, attributes)


class Line:
    """Two shards as a replica keeps them."""

    def __init__(self) -> None:
        self.tables = [ShardTable(), ShardTable()]
        self.sayings = [Sayings(), Sayings()]
        self.live: list[dict[int, PutItem]] = [{}, {}]

    def apply(self, shard: int, edits: list[ShardEdit]) -> None:
        self.tables[shard].apply(edits, 1)
        self.sayings[shard].note(edits)
        for edit in edits:
            if isinstance(edit, PutItem):
                self.live[shard][edit.ordinal] = edit
            elif isinstance(edit, DropItem):
                self.live[shard].pop(edit.ordinal, None)

    def view(self) -> tuple[TrieView, Said]:
        trie = TrieView.build(self.tables, [{}, {}], {})
        return trie, Said.build(trie, [sayings.capture() for sayings in self.sayings])

    def expected(self, token: str) -> dict[tuple[int, int], float]:
        """(shard, ordinal) -> how often, from the live items alone."""
        found = {}
        for shard, items in enumerate(self.live):
            for ordinal, item in items.items():
                times = Counter(map(token_spelling, item.text.split()))[token]
                named = {token_spelling(t) for found in item.attributes for t in found.word.split()}
                if times or token in named:
                    found[shard, ordinal] = float(times or ATTRIBUTE_TIMES)
        return found


def said_by(trie: TrieView, said: Said, *tokens: str) -> dict[tuple[int, int], float]:
    mentions = said.saying(tokens)
    assert mentions.entries.tolist() == sorted(mentions.entries.tolist())
    return {
        (int(trie.entries.shards[entry]), int(trie.entries.ordinals[entry])): times
        for entry, times in zip(mentions.entries.tolist(), mentions.times.tolist(), strict=True)
    }


@pytest.mark.parametrize("seed", range(4))
def test_counts_are_those_of_the_live_items_after_any_history(seed: int) -> None:
    rng = np.random.default_rng(seed)
    line = Line()
    for _ in range(30):
        edits: list[ShardEdit] = []
        for ordinal in rng.choice(40, 6, replace=False).tolist():
            if rng.random() < 0.2:
                edits.append(DropItem(f"i{ordinal}", ordinal, 2, b""))
            else:
                text = " ".join(rng.choice(WORDS, rng.integers(0, 6)))
                edits.append(put(ordinal, text, tuple(rng.choice(WORDS, 1))))
        line.apply(int(rng.integers(0, 2)), edits)
        if rng.random() < 0.5:
            trie, said = line.view()
            for token in ("cable", "gray", "usb", "toner", "nothing"):
                assert said_by(trie, said, token) == line.expected(token)


def test_a_view_does_not_change_when_items_do() -> None:
    line = Line()
    line.apply(0, [put(0, "usb cable"), put(1, "usb hub")])
    trie, said = line.view()
    line.apply(0, [put(0, "toner"), DropItem("i1", 1, 2, b"")])
    line.view()
    assert said_by(trie, said, "usb") == {(0, 0): 1.0, (0, 1): 1.0}


def test_several_tokens_are_said_as_often_as_the_rarest_of_them() -> None:
    line = Line()
    line.apply(0, [put(0, "usb usb cable"), put(1, "usb"), put(2, "cable usb cable usb")])
    trie, said = line.view()
    assert said_by(trie, said, "usb", "cable") == {(0, 0): 1.0, (0, 2): 2.0}


def test_a_share_is_of_the_items_under_a_slot() -> None:
    line = Line()
    line.apply(
        0,
        [
            put(0, "usb cable", (), (1, 2, 0, 0, 0, 0)),
            put(1, "cable", (), (1, 0, 0, 0, 0, 0)),
            put(2, "usb hub", (), (3, 2, 0, 0, 0, 0)),
        ],
    )
    trie, said = line.view()
    shares = said.shares(trie, said.saying(("usb",)))
    found: defaultdict[Slot, float] = defaultdict(float)
    for position, share in enumerate(shares):
        found.update({Slot(position, i): s for i, s in enumerate(share.tolist()) if s})
    # Nothing is said of the empty slot.
    assert found == {Slot(0, 1): 0.5, Slot(0, 3): 1.0, Slot(1, 2): 1.0}


def test_lengths_are_in_tokens_and_attributes_that_the_text_lacks() -> None:
    line = Line()
    line.apply(1, [put(0, "usb usb cable", ("cables", "gray"))])
    _, said = line.view()
    assert said.lengths.tolist() == [4.0]
    assert said.mean_length == 4.0


def test_without_items_nothing_is_said() -> None:
    trie, said = Line().view()
    assert said_by(trie, said, "usb") == {}
    assert said.mean_length == 0.0
