"""A selector index answers exactly what a scan of the store answers, at any time."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from pyroaring import BitMap

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.items import Attribute, AttributeSource, Encoded, Item
from kae.encoders.selector import CompiledSelector, Selector, compile_selector
from kae.encoders.text.normal_form import normalise
from kae.sinks.log.protocol import MemoryLog
from kae.sinks.postings.selector_index import SelectorIndex
from kae.sinks.shard import Shard
from kae.sinks.store.plan import Change, Delete, Upsert, payload_hash, prepare
from kae.sinks.store.store import ShardStore

WORDS = st.sampled_from(["black", "toner", "hp", "x", "1.5m", "é", "商", "cartridge"])
TEXTS = st.lists(WORDS, max_size=5).map(" ".join)
NAMES = st.sampled_from(["brand", "color", "entity"])
IDS = st.sampled_from([f"item-{number}" for number in range(12)])
EXPRESSIONS = st.recursive(
    st.builds('{} {} "{}"'.format, NAMES, st.sampled_from(["=", "!="]), WORDS),
    lambda inner: st.one_of(
        st.builds("not ({})".format, inner),
        st.builds("({}) and ({})".format, inner, inner),
        st.builds("({}) or ({})".format, inner, inner),
    ),
    max_leaves=6,
)
SELECTORS = st.builds(
    Selector,
    match=st.one_of(st.just(""), TEXTS),
    items=st.one_of(st.just(()), st.lists(IDS, max_size=4).map(tuple)),
    where=st.one_of(st.just(""), EXPRESSIONS),
)
SINGLES = st.lists(IDS, max_size=3)
ADJUSTED = st.builds(
    lambda selector, gone, more, pins: compile_selector(
        selector.adjusted(more, gone, None).adjusted((), (), tuple(pins))
    ),
    SELECTORS,
    SINGLES,
    SINGLES,
    SINGLES,
)


class Worded:
    """Encodes an item as its fields say it: every word counts, whatever a codebook knows."""

    def encode_all(self, items: Sequence[Item]) -> list[Encoded]:
        return [self._encode(item) for item in items]

    def _encode(self, item: Item) -> Encoded:
        attributes = tuple(
            Attribute(CATEGORY_INDEX[name], word, word, AttributeSource.FIELD, 1.0)
            for name, words in item.fields.items()
            for word in words
        )
        return Encoded(item.title, normalise(item.title), attributes, (0, 0, 0, 0, 0, 0))


class Owner:
    """One shard that takes changes, each newer than the one before."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="kae-postings-"))
        self._log = MemoryLog()
        self.shard = self._open()
        self._revision = 0

    def upsert(self, item_id: str, title: str, fields: dict[str, str | list[str]]) -> None:
        self._change(
            Upsert(item_id, self._next(), payload_hash(b""), Item(item_id, title, "", fields))
        )

    def delete(self, item_id: str) -> None:
        self._change(Delete(item_id, self._next(), payload_hash(b"")))

    def reopen(self) -> None:
        self.shard.close()
        self.shard = self._open()

    def close(self) -> None:
        self.shard.close()
        shutil.rmtree(self.root)

    def _open(self) -> Shard:
        return Shard(
            self.root / "shard", self._log, owner="test", fingerprint="f", max_bytes=1 << 16
        )

    def _next(self) -> int:
        self._revision += 1
        return self._revision

    def _change(self, change: Change) -> None:
        plan = self.shard.plan_items(prepare([change], Worded()), {})
        self.shard.append_items(plan, 0, self.shard.next_offset + 1, at_ms=0).apply()


class AnyItems(RuleBasedStateMachine):
    """Items that are put, changed and dropped, with selectors and refreshes in between."""

    def __init__(self) -> None:
        super().__init__()
        self.owner = Owner()

    @rule(item_id=IDS, title=TEXTS, fields=st.dictionaries(NAMES, st.lists(WORDS, max_size=2)))
    def upsert(self, item_id: str, title: str, fields: dict[str, str | list[str]]) -> None:
        self.owner.upsert(item_id, title, fields)

    @rule(item_id=IDS)
    def delete(self, item_id: str) -> None:
        self.owner.delete(item_id)

    @rule(limit=st.integers(min_value=0, max_value=5))
    def idle(self, limit: int) -> None:
        self.owner.shard.selector_index.refresh(limit)

    @rule()
    def reopen(self) -> None:
        self.owner.reopen()

    @rule(selector=ADJUSTED)
    def resolve(self, selector: CompiledSelector) -> None:
        shard = self.owner.shard
        assert shard.resolve(selector) == scanned(shard.store, selector)

    def teardown(self) -> None:
        self.owner.close()


@pytest.mark.long
def test_an_index_and_a_scan_select_the_same_items() -> None:
    run_state_machine_as_test(
        AnyItems,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def test_an_index_of_items_that_keep_changing_stays_small() -> None:
    owner = Owner()
    for turn in range(40):
        for number in range(10):
            owner.upsert(f"item-{number}", f"hp {turn} {number}", {"color": ["black"]})
        owner.shard.selector_index.refresh(10)
    fresh = SelectorIndex(owner.shard.store)
    fresh.refresh(10)
    assert 0 < owner.shard.selector_index.bytes <= 3 * fresh.bytes
    for number in range(10):
        owner.delete(f"item-{number}")
    owner.shard.selector_index.refresh(10)
    assert owner.shard.selector_index.bytes == 0
    owner.close()


def test_an_opened_shard_counts_the_items_that_it_held() -> None:
    owner = Owner()
    owner.upsert("a", "toner black", {})
    owner.upsert("b", "toner", {})
    owner.delete("b")
    owner.reopen()
    assert owner.shard.selector_index.pending == 2
    assert owner.shard.resolve(compile_selector(Selector(match="toner"))) == BitMap([0])
    owner.close()


def scanned(store: ShardStore, selector: CompiledSelector) -> BitMap:
    """What a selector means: `matches`, item by item."""
    return BitMap(
        item.ordinal
        for item in store.items()
        if selector.matches(item.id, item.text, item.attributes)
    )
