"""The worked example of docs/decoding.md: a model decodes while a writer edits the trie."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.streams.followed import Followed

from kae.deploy.demo import CATALOG
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.codebook.tokens import TokenLayout
from kae.encoders.items import Item
from kae.sinks.trie import decoding
from kae.sinks.trie.decoding import PrefixInvalid
from kae.streams.catalog.rows import read_items
from kae.streams.replica.decode import Decode
from kae.streams.replica.generate import LiveIdentifiers
from kae.streams.replica.view import View
from kae.streams.topology.types import Topology

DOCUMENT = Path(__file__).parents[2] / "docs" / "decoding.md"
BEAM = 512


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    """What the document's code defines."""
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL):
        exec(block, names)
    return names


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return list(read_items(CATALOG, Topology.load().catalog))[:4000]


@pytest.fixture
def followed(tmp_path: Path, items: list[Item]) -> Iterator[Followed]:
    followed = Followed(Codebook.load(Topology.load().codebook_folder), tmp_path)
    followed.put(items)
    followed.bind("quietcore", where='brand = "hp"')
    followed.spread_all()
    followed.follow()
    yield followed
    followed.close()


def live_paths(view: View) -> set[tuple[int, ...]]:
    """From the stores and bindings of one view, not from its trie."""
    paths: set[tuple[int, ...]] = set()
    for reader in view.shards:
        for item in reader.items():
            paths.add(item.identifier)
            for bound in view.bindings.bound.values():
                if item.ordinal in reader.attached.get(bound.binding, ()):
                    path = list(item.identifier)
                    path[bound.position] = bound.index
                    paths.add(tuple(path))
    return paths


@pytest.mark.timeout(300)
def test_a_beam_of_512_gives_512_live_identifiers_while_a_writer_edits(
    example: dict[str, Any], followed: Followed, items: list[Item]
) -> None:
    layout = TokenLayout.of(followed.codebook, base=1000)
    model = example["small_bart"](layout)
    stopping, failure = threading.Event(), []

    def write() -> None:
        try:
            first = 0
            while not stopping.is_set():
                some = items[first : first + 20]
                followed.drop([item.id for item in some])
                followed.follow()
                followed.put(some)
                followed.follow()
                first = (first + 20) % len(items)
        except BaseException as error:
            failure.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for seed in range(3):
            view = followed.index.view
            query = torch.tensor([[0, 100 + seed, 7, 2]])
            slots, version = example["identifiers"](model, layout, view, followed.codebook, query)
            assert version.view == view.number
            assert followed.index.view.number > version.view
            found = {tuple(path) for path in slots.tolist()}
            assert len(found) == len(slots) == BEAM
            assert found <= live_paths(view)
    finally:
        stopping.set()
        writer.join()
    assert not failure


@pytest.mark.parametrize("few", [0, decoding.FEW])
@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("deterministic", [False, True])
def test_scores_of_tokens_that_may_not_come_next_are_lowered_and_the_others_left(
    example: dict[str, Any],
    followed: Followed,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    few: int,
    reuse: bool,
    deterministic: bool,
) -> None:
    monkeypatch.setattr(decoding, "FEW", few)
    torch.use_deterministic_algorithms(deterministic)
    request.addfinalizer(lambda: torch.use_deterministic_algorithms(False))
    decode = Decode(followed.index.view, followed.codebook)
    layout = TokenLayout.of(followed.codebook, base=11)
    live = LiveIdentifiers(decode, layout, end=2, reuse=reuse)
    path = np.array([next(followed.index.view.shards[0].items()).identifier] * 3, np.uint16)
    for depth in range(6):
        tokens = layout.tokens(path[:, :depth])
        tokens[2, :1] = 5  # no slot's
        scores = torch.randn(3, layout.size)
        ids = torch.cat([torch.ones((3, 1), dtype=torch.long), torch.from_numpy(tokens)], 1)
        mine = scores.numpy().copy()
        decode.constrain(layout, tokens, mine)
        theirs = live(ids, scores).numpy()
        assert (mine == theirs).all()
        assert (example["next_scores"](decode, layout, tokens, scores.numpy()) == theirs).all()
        assert np.isfinite(theirs[:2, layout.tokens_of(depth).start + path[0, depth]]).all()
        assert np.isfinite(theirs[2]).any() == (depth == 0)
    ended = live(torch.cat([ids, torch.zeros((3, 1), dtype=torch.long)], 1), torch.randn(3, 40))
    assert np.flatnonzero(np.isfinite(ended[0].numpy())).tolist() == [2]


@pytest.mark.parametrize("few", [0, decoding.FEW])
def test_a_gradient_flows_through_what_is_left_alone(
    followed: Followed, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(decoding, "FEW", few)
    decode = Decode(followed.index.view, followed.codebook)
    layout = TokenLayout.of(followed.codebook, base=11)
    scores = torch.randn(2, layout.size, requires_grad=True)
    left = LiveIdentifiers(decode, layout, end=2)(torch.ones((2, 1), dtype=torch.long), scores)
    left[torch.isfinite(left)].sum().backward()
    assert scores.grad is not None
    assert torch.equal(scores.grad != 0, torch.isfinite(left))


def test_a_prompt_that_is_told_wrong_is_refused(followed: Followed) -> None:
    live = LiveIdentifiers(
        Decode(followed.index.view, followed.codebook), TokenLayout.of(followed.codebook, 11), end=2
    )
    with pytest.raises(PrefixInvalid, match="say with `prompt`"):
        live(torch.tensor([[2, 0, 5]]), torch.randn(1, 40))
