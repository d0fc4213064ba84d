"""How well fitted identifiers distinguish items, and that every path gives the same ones."""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.encoders.sample import FIELDS, GROUPS, catalog
from tests.icecat import catalog_items
from tests.streams.unmapped_feeds import fashion

from kae.encoders.catalog_reader import CatalogReader
from kae.encoders.categories import CAPACITY_LIMIT, CATEGORY_INDEX, Group, Slot
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.fitting.build import group_spellings, number_slots
from kae.encoders.fitting.closed_codebooks import embed, residual_kmeans
from kae.encoders.fitting.clusters import assign_clusters
from kae.encoders.fitting.fit import fit_codebook
from kae.encoders.groups.fit import FittedGroups, fit_groups
from kae.encoders.groups.information import measure_identifiers
from kae.encoders.groups.merge import MergeWeights
from kae.encoders.groups.occurrences import observe
from kae.encoders.items import Item
from kae.encoders.vocabulary.fit import learn_vocabulary
from kae.streams.catalog.inspect import inspect_feeds
from kae.streams.catalog.rows import read_items
from kae.streams.codebooks.quality import encode_catalog, quality_of
from kae.streams.topology.parts import CatalogPart
from kae.streams.topology.types import Topology

TOPOLOGY = Topology.load()
MAPPED = TOPOLOGY.catalog.fields


@pytest.fixture(scope="module")
def icecat() -> list[Item]:
    return catalog_items(3000)


@pytest.fixture(scope="module")
def groups(icecat: list[Item]) -> FittedGroups:
    passes = CatalogReader(lambda: icecat)
    return fit_groups(passes, TOPOLOGY.codebook_groups, MAPPED, MergeWeights())


@pytest.fixture(scope="module")
def fitted(groups: FittedGroups) -> Codebook:
    return fit_codebook(groups, MAPPED, 1)


@pytest.fixture(scope="module")
def encoder(fitted: Codebook) -> Encoder:
    return Encoder(fitted)


@pytest.mark.long
@pytest.mark.timeout(400)  # it fits the whole catalog
def test_the_shipped_codebook_is_fitted_and_tells_as_many_apart_as_residual_k_means() -> None:
    """Fitted but for clusters: a machine of another kind may round to another neighbour."""
    items = catalog_items()
    passes = CatalogReader(lambda: items)
    declared = TOPOLOGY.codebook_groups
    fit = fit_groups(passes, declared, MAPPED, MergeWeights(), keep_declared=True)
    ours, shipped = fit_codebook(fit, MAPPED, 1), Codebook.load(TOPOLOGY.codebook_folder)
    assert ours.solo_slots == shipped.solo_slots
    assert {replace(word, index=0) for word in ours.words} == {
        replace(word, index=0) for word in shipped.words
    }
    codes, titles = encode_catalog(shipped, items)
    quality = quality_of(shipped, codes)
    assert quality_of(ours, encode_catalog(ours, items)[0]).icr == pytest.approx(
        quality.icr, abs=0.01
    )
    assert quality.coverage >= 0.95
    capacities = [group.capacity for group in shipped.groups]
    closed = residual_kmeans(embed(titles, 1), capacities, 1)
    assert quality.icr >= measure_identifiers(closed, capacities, has_empty=False).icr


def test_a_fashion_feed_is_covered_with_a_proposed_mapping_alone(tmp_path: Path) -> None:
    path = fashion(tmp_path)
    mapping = CatalogPart.model_validate(inspect_feeds([path], TOPOLOGY.codebook_groups).catalog)
    items = list(read_items([path], mapping))
    fields = dict(mapping.fields)
    fit = fit_groups(CatalogReader(lambda: items), TOPOLOGY.codebook_groups, fields, MergeWeights())
    assert not fit.declared_because
    codebook = fit_codebook(fit, fields, 1)
    codes, _ = encode_catalog(codebook, items)
    assert quality_of(codebook, codes).coverage >= 0.9


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_one_by_one_and_in_any_batches_the_identifiers_are_the_same(
    data: st.DataObject, encoder: Encoder, icecat: list[Item]
) -> None:
    items = data.draw(st.lists(st.sampled_from(icecat), min_size=1, max_size=30))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(items)), max_size=4)) | {len(items)})
    batched = [
        encoded
        for start, end in zip([0, *cuts], cuts, strict=False)
        for encoded in encoder.encode_all(items[start:end])
    ]
    assert batched == [encoder.encode(item) for item in items]


def test_every_word_leads_to_one_slot_and_back(fitted: Codebook) -> None:
    words_of: defaultdict[Slot, list[tuple[int, str]]] = defaultdict(list)
    for word in fitted.words:
        slot = fitted.slot_of(word.category, word.word)
        assert slot is not None
        words_of[slot].append((word.category, word.word))
    for slot, words in words_of.items():
        assert fitted.word_at(slot.position, slot.index) in words


def test_fitting_sees_what_encoding_says(groups: FittedGroups, icecat: list[Item]) -> None:
    """With a slot for every word, the arrays hold for each position what items are encoded as."""
    widest = [Group(g.name, g.categories, CAPACITY_LIMIT, 1) for g in groups.groups]
    spellings = group_spellings(groups.occurrences.items_by_word(), widest, groups.vocabulary)
    words = [word for of_position in spellings for word in number_slots(of_position)]
    codes, _ = encode_catalog(Codebook(widest, dict(MAPPED), words), icecat)
    for position, group in enumerate(groups.groups):
        representatives = groups.table.representatives(
            [CATEGORY_INDEX[name] for name in group.categories]
        )
        pairs = set(zip(codes[:, position].tolist(), representatives.tolist(), strict=True))
        assert len(pairs) == len({code for code, _ in pairs}) == len({one for _, one in pairs})
        assert ((codes[:, position] == 0) == (representatives == 0)).all()


def test_groups_are_parted_where_words_would_hide_each_other() -> None:
    """Merging sees six categories that every item has; only what they say tells them apart."""
    chosen = random.Random(1)
    kinds = ["lamp", "chair", "table", "shelf"]
    items = [
        Item(
            str(n),
            f"{chosen.choice(kinds)} ab{n}x",
            fields={"for": chosen.choice(["men", "women"]), "tone": chosen.choice(["red", "blue"])},
        )
        for n in range(400)
    ]
    items = [
        replace_fields(item, size=f"{n % 20} cm", of="oak" if n % 3 else "pine", at="home")
        for n, item in enumerate(items)
    ]
    fields = {"for": "audience", "tone": "color", "size": "specification", "of": "material"}
    fit = fit_groups(CatalogReader(lambda: items), GROUPS, fields | {"at": "scene"}, MergeWeights())
    (of_model,) = (group.categories for group in fit.groups if "model" in group.categories)
    assert "entity" not in of_model
    assert "specification" not in of_model


def replace_fields(item: Item, **fields: str) -> Item:
    return Item(item.id, item.title, fields={**item.fields, **fields})


def test_like_words_of_items_that_are_else_alike_part() -> None:
    """Of two words that would meet, one goes to the next center; the others stay at the nearest."""
    vectors = np.array([[0.0], [0.1], [0.2], [0.3]], dtype=np.float32)
    centers = np.array([[0.0], [1.0]], dtype=np.float32)
    alike = [np.array([7], dtype=np.uint64)] * 2
    other = [np.array([8], dtype=np.uint64), np.array([9], dtype=np.uint64)]
    assert assign_clusters(vectors, centers, alike + other) == [0, 1, 0, 0]


def sampled(items: list[Item], **bounds: Any) -> tuple[int, ...]:
    dictionary = learn_vocabulary(items, GROUPS, FIELDS).dictionary
    seen = observe(items, GROUPS, FIELDS, dictionary, None, **bounds)
    assert len(seen.place) == len(seen.trust_ranks) == seen.starts[-1]
    assert seen.catalog_items == len(items)
    return tuple(
        sum(1 for place in seen.place[start:end] if seen.words[place][1] == "acme")
        for start, end in zip(seen.starts, seen.starts[1:], strict=False)
    )


def branded() -> Iterator[Item]:
    for n in range(40):
        yield Item(str(n), "cable", fields={"brand": "Acme"} if n % 8 == 0 else {"brand": "Bolt"})


def test_a_large_catalog_is_counted_whole_and_sampled() -> None:
    items = list(branded())
    assert sampled(items) == tuple(int(n % 8 == 0) for n in range(40))
    # Every second, then every fourth: 40 items are more than 8, 16 and 32.
    assert sampled(items, max_items=16) == tuple(int(n % 8 == 0) for n in range(0, 40, 4))
    dictionary = learn_vocabulary(items, GROUPS, FIELDS).dictionary
    seen = observe(items, GROUPS, FIELDS, dictionary, max_items=16)
    assert seen.items_by_word()[CATEGORY_INDEX["brand"], "acme"] == 5
    assert seen.items_by_word()[CATEGORY_INDEX["brand"], "bolt"] == 35


def test_the_rarest_words_are_forgotten_when_there_are_too_many() -> None:
    items = [*catalog(), *(Item(f"m{n}", f"cable ab{n}c") for n in range(50))]
    dictionary = learn_vocabulary(items, GROUPS, FIELDS).dictionary
    seen = observe(items, GROUPS, FIELDS, dictionary, max_words=20)
    assert len(seen.words) <= 20
    assert seen.items_by_word()[CATEGORY_INDEX["entity"], "cable"] >= 52
    assert int(seen.place.max()) < len(seen.words) == len(seen.counts)
    assert len(seen.place) == len(seen.trust_ranks) == seen.starts[-1]
    assert seen.items == len(items)
