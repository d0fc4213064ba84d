"""A decode by the plain function: one view to the end, tokens as the model has them."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.streams.followed import Followed

from kae.encoders.categories import POSITIONS
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.codebook.tokens import TokenLayout
from kae.encoders.items import Item
from kae.sinks.trie.decoding import PrefixInvalid
from kae.streams.replica.decode import Decode

BEAM = 512
BASE = 50

Tokens = NDArray[np.int64]


def decoded(
    decode: Decode, layout: TokenLayout, between: Callable[[], None] = lambda: None
) -> Tokens:
    """A beam search over random scores; `between` is called after every step."""
    rng = np.random.default_rng(3)
    tokens, totals = np.zeros((1, 0), np.int64), np.zeros(1)
    for _ in range(POSITIONS):
        scores = rng.standard_normal((len(tokens), layout.size))
        decode.constrain(layout, tokens, scores)
        whole = (totals[:, None] + scores).ravel()
        best = np.argsort(-whole)[:BEAM]
        best = best[np.isfinite(whole[best])]
        tokens = np.column_stack([tokens[best // layout.size], best % layout.size])
        totals = whole[best]
        between()
    return tokens


def test_a_beam_ends_at_live_items_of_the_version_that_it_holds(
    followed: Followed, catalog: list[Item], codebook: Codebook
) -> None:
    followed.put(catalog[:3000])
    followed.follow()
    layout = TokenLayout.of(codebook, BASE)
    decode = Decode(followed.index.view, codebook)
    began = decode.version
    held = {tuple(path) for path in _paths(followed)}
    rest = [catalog[first:3000:POSITIONS] for first in range(POSITIONS)]

    def drop_a_sixth() -> None:
        followed.drop([item.id for item in rest.pop()])
        followed.follow()

    slots, valid = layout.slots(decoded(decode, layout, drop_a_sixth))
    assert valid.all()
    assert len({tuple(path) for path in slots.tolist()}) == BEAM
    assert {tuple(path) for path in slots.tolist()} <= held
    assert decode.count(slots).all()
    assert decode.version == began
    now = Decode(followed.index.view, codebook)
    assert now.version.view >= began.view + POSITIONS
    assert not now.count(slots).any()
    assert not now.mask(np.zeros((1, 0), np.uint16)).any()


def _paths(followed: Followed) -> list[tuple[int, ...]]:
    return [item.identifier for reader in followed.index.view.shards for item in reader.items()]


def test_a_bound_term_is_a_token_that_may_come_next(
    followed: Followed, catalog: list[Item], codebook: Codebook
) -> None:
    followed.put(catalog[:500])
    followed.follow()
    before = Decode(followed.index.view, codebook)
    followed.bind("quietcore", where='brand = "hp"', category=codebook.groups[0].categories[0])
    followed.spread_all()
    followed.follow()
    decode = Decode(followed.index.view, codebook)
    bound = next(iter(followed.index.view.bindings.bound.values()))
    layout = TokenLayout.of(codebook, BASE)
    scores = np.zeros((2, layout.size))
    before.constrain(layout, np.zeros((1, 0), np.int64), scores[:1])
    decode.constrain(layout, np.zeros((1, 0), np.int64), scores[1:])
    token = layout.tokens_of(bound.position).start + bound.index
    assert np.isneginf(scores[0, token])
    assert scores[1, token] == 0
    reserved = np.array([[bound.index]], np.uint16)
    attached = sum(len(r.attached[bound.binding]) for r in followed.index.view.shards)
    assert decode.count(reserved).tolist() == [attached]


def test_items_behind_a_path_are_read_ranked(
    followed: Followed, catalog: list[Item], codebook: Codebook
) -> None:
    alike = [Item(f"a{n}", catalog[0].title, "", catalog[0].fields, float(n)) for n in range(5)]
    followed.put(alike)
    followed.follow()
    decode = Decode(followed.index.view, codebook)
    path = followed.encoder.encode(alike[0]).identifier
    followed.drop(["a4"])
    followed.follow()
    assert [item.id for item in decode.items(path, 3)] == ["a4", "a3", "a2"]
    now = Decode(followed.index.view, codebook)
    assert [item.id for item in now.items(path, 10)] == ["a3", "a2", "a1", "a0"]
    assert now.behind(np.array([path], np.uint16), 2).popularity.tolist() == [3, 2]
    places, slots = now.children(np.array([path[:2]], np.uint16))
    assert (places.tolist(), slots.tolist()) == ([0], [path[2]])


def test_a_beam_that_holds_no_live_prefix_is_left_with_nothing(
    followed: Followed, catalog: list[Item], codebook: Codebook
) -> None:
    followed.put(catalog[:50])
    followed.follow()
    layout = TokenLayout.of(codebook, BASE)
    scores = np.zeros((3, layout.size))
    # No slot at all; one of another position; a slot under which nobody lives.
    tokens = np.array([[7], [layout.tokens_of(3).start], [layout.tokens_of(0).stop - 1]])
    Decode(followed.index.view, codebook).constrain(layout, tokens, scores)
    assert np.isneginf(scores).all()


def test_a_complete_identifier_has_nothing_next(followed: Followed, codebook: Codebook) -> None:
    with pytest.raises(PrefixInvalid):
        Decode(followed.index.view, codebook).mask(np.zeros((1, POSITIONS), np.uint16))


def test_tokens_are_slots_laid_end_to_end() -> None:
    layout = TokenLayout(100, (2058, 2058, 1034, 1034, 2058, 1034))
    assert layout.size == 100 + 9_276
    assert layout.tokens_of(0) == range(100, 2158)
    assert layout.tokens_of(2) == range(4216, 5250)
    slots = np.array([[0, 2057, 1033], [5, 0, 0]], np.uint16)
    tokens = layout.tokens(slots)
    assert tokens.tolist() == [[100, 4215, 5249], [105, 2158, 4216]]
    back, valid = layout.slots(tokens)
    assert (back == slots).all()
    assert valid.all()
    assert layout.slots(tokens[:, ::-1])[1].tolist() == [False, False]
