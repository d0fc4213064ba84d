"""Any history of a pipeline, over any log: what the machine of hypothesis does and compares."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from msgspec import structs
from tests.sinks.oracle import active_terms, expected_counts, expected_hash, read_again
from tests.sinks.pipeline import Pipeline, split_known

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.encoders.selector import Selector
from kae.sinks.log.ownership import Fenced, UnappliedDelta
from kae.sinks.log.protocol import Log
from kae.sinks.log.term_changes import Bind, Release
from kae.sinks.shard import Shard
from kae.sinks.store.plan import Delete, Upsert, payload_hash

IDS = st.sampled_from(["a", "b", "c", "d", "é", "商品", "z9"])
REVISIONS = st.integers(min_value=0, max_value=4)
CONTENTS = st.integers(min_value=0, max_value=5)
TERMS = st.sampled_from(["zorblax", "quietcore", "glimmer"])
SELECTORS = st.sampled_from(
    [
        Selector(match="black"),
        Selector(match="toner cartridge"),
        Selector(where='brand = "hp"'),
        Selector(where='not brand = "hp"'),
        Selector(items=("a", "é", "nowhere")),
        Selector(match="no such phrase"),
    ]
)
NewLog = Callable[[], Log]


class History(RuleBasedStateMachine):
    """Random events and accidents upon one shard and one registrar."""

    codebook: Codebook
    contents: list[Item]
    new_log: NewLog

    def __init__(self) -> None:
        super().__init__()
        self.pipeline = Pipeline(self.codebook, self.new_log(), self.new_log())
        self.zombies: list[tuple[Shard, UnappliedDelta | None]] = []
        self.resets: list[tuple[int, int]] = []

    @rule(item_id=IDS, revision=REVISIONS, content=CONTENTS)
    def upsert(self, item_id: str, revision: int, content: int) -> None:
        item = self.contents[content]
        self.pipeline.items.append(
            Upsert(
                item_id,
                revision,
                payload_hash(f"{content}".encode()),
                Item(item_id, item.title, item.description, item.fields),
            )
        )

    @rule(item_id=IDS, revision=REVISIONS)
    def delete(self, item_id: str, revision: int) -> None:
        self.pipeline.items.append(Delete(item_id, revision, payload_hash(b"delete")))

    @rule()
    def undecodable(self) -> None:
        self.pipeline.items.append(None)

    @rule(place=st.integers(min_value=0))
    def deliver_again(self, place: int) -> None:
        if self.pipeline.items:
            self.pipeline.items.append(self.pipeline.items[place % len(self.pipeline.items)])

    @rule(term=TERMS, revision=REVISIONS, selector=SELECTORS)
    def bind(self, term: str, revision: int, selector: Selector) -> None:
        category = CATEGORY_INDEX["entity"]
        self.pipeline.terms.append(Bind(term, revision, (), category, 0, selector, "", "", 0))

    @rule(term=TERMS, revision=REVISIONS)
    def release(self, term: str, revision: int) -> None:
        self.pipeline.terms.append(Release(term, revision))

    @rule(limit=st.integers(min_value=1, max_value=7))
    def work(self, limit: int) -> None:
        if (sent := self.pipeline.append_items(self.pipeline.shard, limit)) is not None:
            sent.apply()

    @rule(limit=st.integers(min_value=1, max_value=3))
    def register(self, limit: int) -> None:
        self.pipeline.register(self.pipeline.registrar, limit)

    @rule()
    def spread(self) -> None:
        if (
            sent := self.pipeline.append_bindings(self.pipeline.shard, self.pipeline.now())
        ) is not None:
            sent.apply()

    @rule(limit=st.integers(min_value=1, max_value=7), appended=st.booleans())
    def crash(self, limit: int, appended: bool) -> None:
        """The owner dies before its append, or between the append and applying it."""
        if (
            appended
            and (sent := self.pipeline.append_items(self.pipeline.shard, limit)) is not None
        ):
            sent.wait()
        self.pipeline.reopen()

    @rule(place=st.integers(min_value=0), crashed=st.booleans())
    def reset(self, place: int, crashed: bool) -> None:
        """The shard reads again from an earlier place; its owner may die right after the append."""
        shard = self.pipeline.shard
        at, to = shard.next_offset, place % (shard.next_offset + 1)
        sent = shard.append_source(
            structs.replace(shard.source, next_offset=to), self.pipeline.now()
        )
        self.resets.append((at, to))
        if not crashed:
            sent.apply()
            return
        sent.wait()
        self.pipeline.reopen()

    @rule()
    def restart_the_registrar(self) -> None:
        self.pipeline.registrar = self.pipeline.open_registrar()

    @rule(limit=st.integers(min_value=1, max_value=7), planned=st.booleans())
    def rebalance(self, limit: int, planned: bool) -> None:
        """The shard moves on; its former owner does not know, and may have a plan at hand."""
        old = self.pipeline.pass_on()
        self.zombies.append((old, self.pipeline.append_items(old, limit) if planned else None))

    @rule()
    def zombies_wake(self) -> None:
        before = self.pipeline.shard.store.state
        for zombie, planned in self.zombies:
            sent = planned or self.pipeline.append_items(zombie, 3)
            if sent is not None:
                with pytest.raises(Fenced):
                    sent.apply()
            zombie.close()
        self.zombies.clear()
        assert self.pipeline.shard.store.state == before

    @rule()
    def lose_the_store(self) -> None:
        self.pipeline.pass_on().close()

    def teardown(self) -> None:
        pipeline = self.pipeline
        pipeline.drain()
        for zombie, _ in self.zombies:
            zombie.close()
        known = split_known(pipeline.items)
        terms = active_terms(pipeline.terms).values()
        store = pipeline.shard.store
        assert store.content_hash() == expected_hash(known, terms, pipeline.encoder)
        assert store.state.counts == expected_counts(read_again(pipeline.items, self.resets))
        assert store.state.source.next_offset == len(pipeline.items)
        refolded = pipeline.refold()
        assert refolded.dump() == store.dump()
        refolded.close()
        pipeline.close()


def run(new_log: NewLog, codebook: Codebook, items: list[Item], examples: int, steps: int) -> None:
    machine = type(
        "AnyHistory",
        (History,),
        {
            "codebook": codebook,
            "contents": [replace_id(item) for item in items[:6]],
            "new_log": staticmethod(new_log),
        },
    )
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


def replace_id(item: Item) -> Item:
    return Item("", item.title, item.description, item.fields)
