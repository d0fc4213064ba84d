"""Beams of a trained retriever under the live mask, and what is found behind them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from tests.icecat import catalog_items
from tests.neural.retriever_samples import (
    ITEMS,
    SEED,
    capacities_of,
    sampled,
    samples_of,
    small_plan,
)
from tests.neural.test_generate import live_paths
from tests.streams.followed import Followed

from kae.encoders.categories import Slot
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.retriever.beams import GIVEN_BACK, AskedQuery, Mask, beam_search
from kae.encoders.retriever.network import Retriever
from kae.encoders.retriever.stage_samples import StageSamples
from kae.encoders.retriever.text import END
from kae.encoders.retriever.tokens import padded
from kae.encoders.retriever.training import train
from kae.streams.errors import ModelDiffers
from kae.streams.replica.decode import Decode
from kae.streams.replica.shared_views import SharedViews
from kae.streams.replica.shared_views_writer import SharedViewsWriter
from kae.streams.retrieval.evaluate import evaluate_model
from kae.streams.retrieval.model_decoding import decode_queries
from kae.streams.retrieval.model_search import ModelSearch

QUERIES = [
    AskedQuery("hp toner cartridge", (0, 2, 0, 0, 1, 0)),
    AskedQuery("zorblax"),
    AskedQuery("black laser printer with a duplex unit and a long name", (0, 3, 0, 1, 0, 1)),
    AskedQuery("", (0, 0, 0, 0, 2, 0), history=((3, 2, 1, 1, 1, 1), (0, 0, 0, 0, 0, 2))),
]
LEARNED = 60
DOCUMENT = Path(__file__).parents[2] / "docs" / "retriever.md"
# More than there are live identifiers.
ALL = 1000


@pytest.fixture(scope="module")
def retriever(model_folder: Path) -> Retriever:
    return Retriever.load(model_folder)


@pytest.fixture
def followed(codebook: Codebook, tmp_path: Path) -> Iterator[Followed]:
    made = Followed(codebook, tmp_path / "followed")
    made.put(catalog_items(ITEMS))
    made.follow()
    yield made
    made.close()


def scores_of(
    retriever: Retriever, query: AskedQuery, identifiers: np.ndarray, mask: Mask
) -> np.ndarray:
    """By transformers' own forward pass: each position's softmax, some of it given back."""
    source = torch.tensor(retriever.tokens.sources([query.sample()]))
    tokens = torch.from_numpy(retriever.layout.tokens(identifiers))
    shifted = torch.cat([torch.full((len(tokens), 1), END), tokens[:, :-1]], dim=1)
    with torch.inference_mode():
        logits = retriever.bart(
            input_ids=source.expand(len(tokens), -1), decoder_input_ids=shifted
        ).logits
    total = np.zeros(len(tokens))
    for position in range(6):
        own = retriever.layout.tokens_of(position)
        logs = logits[:, position, own.start : own.stop].log_softmax(-1)
        chosen = torch.from_numpy(identifiers[:, position].astype(np.int64))[:, None]
        allowed = torch.from_numpy(mask(identifiers[:, :position]))
        permitted = logs.exp().where(allowed, 0.0).sum(1).log()
        total += (logs.gather(1, chosen)[:, 0] - GIVEN_BACK * permitted).numpy()
    return total


@pytest.mark.parametrize("masked", [True, False])
def test_beams_with_and_without_a_cache_are_the_same(
    retriever: Retriever, followed: Followed, codebook: Codebook, masked: bool
) -> None:
    mask: Mask | None = Decode(followed.index.view, codebook).mask if masked else None
    cached = beam_search(retriever, QUERIES, mask, beams=64)
    uncached = beam_search(retriever, QUERIES, mask, beams=64, cached=False)
    for one, other in zip(cached, uncached, strict=True):
        assert one.identifiers.shape == (64, 6)
        np.testing.assert_array_equal(one.identifiers, other.identifiers)
        np.testing.assert_allclose(one.scores, other.scores, rtol=0, atol=2e-5)


def test_a_wide_beam_has_every_live_identifier_with_the_score_of_the_whole_model(
    retriever: Retriever, followed: Followed, codebook: Codebook
) -> None:
    decode = Decode(followed.index.view, codebook)
    live = live_paths(followed.index.view)
    assert len(live) < ALL
    for query, found in zip(
        QUERIES, beam_search(retriever, QUERIES, decode.mask, ALL), strict=True
    ):
        assert {tuple(path) for path in found.identifiers.tolist()} == live
        assert len(found.identifiers) == len(live)
        np.testing.assert_allclose(
            found.scores,
            scores_of(retriever, query, found.identifiers, decode.mask),
            rtol=0,
            atol=1e-4,
        )
        assert (np.diff(found.scores) <= 0).all()


def test_a_query_has_the_same_beams_alone_and_among_others(retriever: Retriever) -> None:
    together = beam_search(retriever, QUERIES, None, beams=32)
    for query, found in zip(QUERIES, together, strict=True):
        (alone,) = beam_search(retriever, [query], None, beams=32)
        np.testing.assert_array_equal(alone.identifiers, found.identifiers)
    assert beam_search(retriever, [], None, beams=32) == []


@pytest.mark.timeout(300)
def test_a_trained_model_finds_what_people_chose_before_most_other_items(
    followed: Followed, codebook: Codebook, tmp_path: Path
) -> None:
    items = catalog_items(ITEMS)[:LEARNED]
    samples = StageSamples(samples_of(codebook, sampled(codebook, items)))
    plan = small_plan(16_000)
    only = msgspec.structs.replace(plan, stages=tuple(s for s in plan.stages if s.name == "S3"))
    retriever = train(samples, only, capacities_of(codebook), tmp_path / "model", seed=SEED)
    search = ModelSearch(retriever, codebook, beams=64)
    chosen = {" ".join(item.title.split()[:3]): [item.id] for item in items}
    found = evaluate_model(search, followed.index.view, chosen, 64)
    assert found.queries == found.pairs == len(chosen)
    assert found.unknown == 0
    # By chance 10 of 300 items are one in thirty.
    assert found.model.hit_rate["10"] > 0.5
    assert found.model.hit_rate["10"] <= found.model.hit_rate["100"]
    gone = evaluate_model(search, followed.index.view, {"toner": ["no such item"]}, 64)
    assert (gone.unknown, gone.model.mrr, gone.both.mrr) == (1, 0.0, 0.0)


def test_an_item_that_is_dropped_is_found_no_more(
    retriever: Retriever, followed: Followed, codebook: Codebook
) -> None:
    def found() -> set[tuple[int, int]]:
        (one,) = decode_queries(
            retriever, Decode(followed.index.view, codebook), QUERIES[:1], ALL, path_items=ALL
        )
        pairs = zip(one.items.shards.tolist(), one.items.ordinals.tolist(), strict=True)
        assert one.sizes.sum() == len(one.items.shards)
        return set(pairs)

    before = found()
    assert len(before) == ITEMS
    dropped = followed.index.view.live_item(catalog_items(1)[0].id)
    assert dropped is not None
    followed.drop([dropped.id])
    followed.follow()
    shard = followed.index.view.shard_of(dropped.id)
    assert before - found() == {(shard, dropped.ordinal)}


def test_a_term_that_is_bound_after_training_is_a_path_to_its_items(
    followed: Followed, codebook: Codebook, model_folder: Path
) -> None:
    search = ModelSearch.open(model_folder, codebook, beams=ALL)
    assert search.answer(followed.index.view, "quietcore", 5).slots == (0, 0, 0, 0, 0, 0)
    followed.bind("quietcore", where='brand = "hp"')
    followed.spread_all()
    followed.follow()
    view = followed.index.view
    (bound,) = view.visible.values()
    answer = search.answer(view, "Quietcore", ITEMS, both=True)
    assert answer.slots[bound.position] == bound.index
    assert answer.identifier[bound.position] == "quietcore"
    attached = view.attached_items(bound.binding)
    paths = [one for one in answer.beams if one.slots[bound.position] == bound.index]
    assert {one.words[bound.position] for one in paths} == {"quietcore"}
    assert sum(one.items for one in paths) <= attached
    assert {one.path for one in answer.items if one.via == "quietcore"}
    for one in answer.items:
        if one.via is not None and one.path is not None:
            assert one.path[bound.position] == "quietcore"


def test_a_query_for_a_term_gives_half_of_its_beams_to_the_paths_of_the_term(
    followed: Followed, codebook: Codebook, model_folder: Path
) -> None:
    followed.bind("quietcore", where='brand = "hp"')
    followed.spread_all()
    followed.follow()
    view = followed.index.view
    (bound,) = view.visible.values()
    decode = Decode(view, codebook)
    paths = {path for path in live_paths(view) if path[bound.position] == bound.index}
    slot = Slot(bound.position, bound.index)
    assert {tuple(path) for path in decode.paths_through(slot).tolist()} == paths
    assert len(paths) > 8
    search = ModelSearch.open(model_folder, codebook, beams=16)
    (found,) = search.decode(view, ["toner quietcore"])
    assert found.routed.tolist() == [True, False] * 8
    through = {tuple(path) for path in found.beams.identifiers[found.routed].tolist()}
    assert len(through) == 8
    assert through < paths
    # Every term's item that is found first is one of the term.
    assert found.items.bindings[0] == bound.binding
    (other,) = search.decode(view, ["toner"])
    assert not other.routed.any()
    followed.release("quietcore")
    followed.follow()
    (after,) = search.decode(followed.index.view, ["toner quietcore"])
    assert not after.routed.any()
    assert Decode(followed.index.view, codebook).paths_through(slot).shape == (0, 6)


def test_the_worked_example_of_the_document_decodes_live_identifiers(
    followed: Followed, codebook: Codebook, model_folder: Path
) -> None:
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL):
        exec(block, names)
    view = followed.index.view
    found = names["decoded"](
        model_folder, Decode(view, codebook), codebook, ["toner", "quietcore"], view.terms
    )
    assert [one.beams.identifiers.shape for one in found] == [(64, 6)] * 2
    live = live_paths(view)
    for one in found:
        assert {tuple(path) for path in one.beams.identifiers.tolist()} <= live


def test_views_in_shared_memory_give_the_same_beams(
    retriever: Retriever, followed: Followed, codebook: Codebook, tmp_path: Path
) -> None:
    with SharedViewsWriter.open(tmp_path / "share") as share:
        share.write(followed.index.view, codebook)
        views = SharedViews(tmp_path / "share")
        for mine, theirs in zip(
            decode_queries(retriever, Decode(followed.index.view, codebook), QUERIES, 32),
            decode_queries(retriever, views.decode(), QUERIES, 32),
            strict=True,
        ):
            np.testing.assert_array_equal(mine.beams.identifiers, theirs.beams.identifiers)
            np.testing.assert_array_equal(mine.items.ordinals, theirs.items.ordinals)


def test_a_model_of_other_slots_is_refused(
    retriever: Retriever, codebook: Codebook, model_folder: Path, followed: Followed
) -> None:
    other = Retriever.create(small_plan(32), retriever.texts, (3,) * 6, seed=1)
    with pytest.raises(ModelDiffers, match=r"\(3, 3, 3, 3, 3, 3\)"):
        decode_queries(other, Decode(followed.index.view, codebook), QUERIES[:1], 4)
    words = codebook.words[:-1]
    changed = Codebook(codebook.groups, codebook.fields, words, codebook.catalog_items)
    with pytest.raises(ModelDiffers, match=f"was trained for codebook {codebook.fingerprint}"):
        ModelSearch.open(model_folder, changed, beams=4)


def test_sources_of_different_lengths_are_filled_up_behind_their_end(retriever: Retriever) -> None:
    sources = retriever.tokens.sources([query.sample() for query in QUERIES])
    matrix = padded(sources)
    assert matrix.shape == (4, max(map(len, sources)))
    for source, row in zip(sources, matrix.tolist(), strict=True):
        assert source[-1] == END
        assert row == [*source, *[1] * (matrix.shape[1] - len(source))]
