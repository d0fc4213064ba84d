"""What an earlier release wrote is opened and folded, and comes to the same."""

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kae.encoders.codebook.codebook import Codebook
from kae.sinks.log.fold import LogState, fold
from kae.sinks.store.store import ShardStore
from kae.sinks.terms.bindings import Bindings

WRITTEN = Path(__file__).parent / "written"
FACTS: dict[str, Any] = json.loads((WRITTEN / "facts.json").read_text(encoding="utf-8"))


def records(name: str) -> list[bytes]:
    return msgspec.msgpack.decode((WRITTEN / name).read_bytes(), type=list[bytes])


def facts_of(store: ShardStore) -> dict[str, Any]:
    state = store.state
    return {
        "hash": store.content_hash(),
        "version": state.version,
        "live": state.live,
        # That release had no count of what is lost.
        "counts": {name: getattr(state.counts, name) for name in FACTS["counts"]},
    }


@pytest.fixture
def folded(tmp_path: Path) -> ShardStore:
    store = ShardStore(tmp_path / "folded", 1 << 20)
    state = LogState()
    for offset, payload in enumerate(records("deltas.msgpack")):
        step = fold(state, offset, payload)
        if step.delta is not None:
            store.apply(step.delta, step.state)
        state = step.state
    return store


@pytest.fixture
def opened(tmp_path: Path) -> ShardStore:
    shutil.copytree(WRITTEN / "store", tmp_path / "opened")
    return ShardStore(tmp_path / "opened", 1 << 20)


def test_a_store_of_an_earlier_release_is_what_it_was(opened: ShardStore) -> None:
    opened.check()
    assert facts_of(opened) == {name: FACTS[name] for name in facts_of(opened)}


def test_a_log_of_an_earlier_release_folds_to_the_store_that_it_came_with(
    folded: ShardStore, opened: ShardStore
) -> None:
    assert facts_of(folded) == facts_of(opened)
    assert folded.state == opened.state


def test_a_bindings_log_of_an_earlier_release_holds_the_same_terms() -> None:
    bindings, state = Bindings(), LogState()
    for offset, payload in enumerate(records("bindings.msgpack")):
        step = fold(state, offset, payload)
        if step.delta is not None:
            bindings.apply(step.delta, step.state)
        state = step.state
    assert bindings.version == FACTS["bindings_version"]
    assert sorted(bound.term for bound in bindings.bound.values()) == FACTS["terms"]


def test_a_codebook_of_an_earlier_release_has_the_same_fingerprint() -> None:
    assert Codebook.load(WRITTEN / "codebook").fingerprint == FACTS["fingerprint"]
