"""What a preview says, beside what the bind of the same event then does, on real stores.

Random terms and selectors over a slice of the real catalog, while items come and go; registrar,
shards, stores and replica are real, the logs in memory. KAE_TEST_PREVIEWS=1000 is the full proof.
"""

import os
import random
from collections.abc import Iterator, Sequence

import pytest
from tests.streams.followed import MAX_BYTES, SHARDS, Followed

from kae.encoders.categories import CATEGORIES
from kae.encoders.items import Attribute, Item
from kae.sinks.log.term_changes import Bind, plan_hash
from kae.streams.events.term_data import BindData, SelectorData
from kae.streams.events.terms import decode_term, encode_term, rules_of
from kae.streams.replica.preview import Previewer
from kae.streams.replica.view import View

PREVIEWS = int(os.environ.get("KAE_TEST_PREVIEWS", "60"))
ITEMS = 1000
SYLLABLES = ("zor", "quiet", "blax", "core", "glim", "mer", "vel", "ora")


class Draws:
    """Random terms and selectors that real items answer to, and some that none does."""

    def __init__(self, seed: int, items: Sequence[Item], said: Sequence[Attribute]) -> None:
        self._chance = random.Random(seed)
        self._items = items
        self._said = said

    def event(self, revision: int) -> bytes:
        chance = self._chance
        term = " ".join(
            "".join(chance.choices(SYLLABLES, k=2)) for _ in range(chance.randint(1, 2))
        )
        data = BindData(
            revision,
            self._selector(),
            aliases=[f"{term} {number}" for number in range(chance.randint(0, 2))],
            category=chance.choice(("", *CATEGORIES)),
        )
        return encode_term(term, data, "/test")

    def some(self, most: int) -> list[Item]:
        return self._chance.sample(self._items, self._chance.randint(0, most))

    def _selector(self) -> SelectorData:
        parts = self._chance.choice((1, 1, 1, 2, 3, 4, 5, 6, 7))
        single = [item.id for item in self.some(30)]
        return SelectorData(
            self._phrase() if parts & 1 else "",
            [*(item.id for item in self.some(200)), "nobody"] if parts & 2 else [],
            self._expression(2) if parts & 4 else "",
            plus=single[::3],
            minus=single[1::3],
            pins=single[2::3],
        )

    def _phrase(self) -> str:
        words = self._chance.choice(self._items).title.split()
        first = self._chance.randrange(len(words))
        phrase = " ".join(words[first : first + self._chance.randint(1, 3)])
        return phrase if any(map(str.isalnum, phrase)) else "black"

    def _expression(self, depth: int) -> str:
        kind = self._chance.choice(("leaf", "and", "or", "not") if depth else ("leaf",))
        if kind == "leaf":
            said = self._chance.choice(self._said)
            sign = self._chance.choice(("=", "=", "=", "!="))
            return f'{CATEGORIES[said.category]} {sign} "{said.word}"'
        if kind == "not":
            return f"not ({self._expression(depth - 1)})"
        sides = (self._expression(depth - 1) for _ in range(2))
        return f" {kind} ".join(f"({side})" for side in sides)


def attributes_of(followed: Followed) -> list[Attribute]:
    return [
        one
        for reader in followed.index.view.shards
        for item in reader.items()
        for one in item.attributes
    ]


def follow_paths(followed: Followed) -> View:
    """Bring the replica up to date, but for what its items are heard to say."""
    followed.follow_bindings()
    for shard in range(SHARDS):
        followed.follow_shard(shard)
    followed.swap()
    return followed.index.view


def bind(followed: Followed, change: Bind) -> int:
    """Have the registrar and the shards carry it out; the binding's id."""
    followed.register(change)
    followed.spread_all()
    return followed.registrar.bindings.terms[change.term][1]


def attached(followed: Followed, binding: int) -> Iterator[str]:
    """The ids of the items that the shards attached."""
    for shard in followed.shards:
        yield from shard.store.ids_at(shard.store.attached[binding])


def free(followed: Followed, term: str) -> None:
    """Release a term and have its slot free again."""
    followed.release(term)
    followed.spread_all()
    versions = [shard.source.bindings_version for shard in followed.shards]
    followed.registrar.free_slots(versions, SHARDS, followed.tick(), 0)
    followed.spread_all()


# The full proof takes a quarter of a minute where nothing else runs, and minutes elsewhere.
@pytest.mark.timeout(120 + PREVIEWS)
def test_a_preview_says_what_the_bind_then_does(followed: Followed, catalog: list[Item]) -> None:
    items = catalog[:ITEMS]
    followed.put(items)
    followed.follow()
    draws = Draws(7, items, attributes_of(followed))
    previewer = Previewer(followed.codebook, followed.topology, followed.searching)
    rules = rules_of(followed.topology, followed.codebook.position_of)
    selecting = 0
    for number in range(1, PREVIEWS + 1):
        # What came last is in the view, and its words are not heard.
        followed.drop([item.id for item in draws.some(20)])
        followed.put(draws.some(20))
        before = follow_paths(followed)
        event = draws.event(number * 1_000_000)  # above those of items and releases
        change = decode_term(None, event, MAX_BYTES, followed.tick(), rules)
        assert isinstance(change, Bind)
        query = f"{change.term} black toner"
        told = previewer.preview(before, event, query)
        assert followed.index.view is before

        binding = bind(followed, change)
        after = follow_paths(followed)
        ids = list(attached(followed, binding))
        assert (told.items, told.refused) == (len(ids), None), event
        assert told.plan.hash == plan_hash(change, ids), event
        assert after.trie.path_count - before.trie.path_count == told.identifiers, event
        assert told.search is not None
        assert told.search.then == followed.search(query, len(told.search.then) or 1), event
        assert told.room.position == followed.registrar.bindings.bound[binding].position
        selecting += bool(ids)
        free(followed, change.term)
        if number % 5 == 0:
            followed.follow()
    assert selecting > PREVIEWS // 4
