"""What is fitted to feeds of any kind, with the mapping that `inspect` proposes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.encoders.sample import GROUPS as SAMPLE_GROUPS
from tests.icecat import CATALOG, FIELDS, GROUPS, catalog_items
from tests.streams.unmapped_feeds import german_fashion, groceries, japanese_goods, spanish_tools

from kae.encoders.catalog_reader import CatalogReader
from kae.encoders.categories import CATEGORIES, check_groups
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.fitting.fit import fit_codebook
from kae.encoders.groups.fit import fit_groups
from kae.encoders.groups.merge import MergeWeights
from kae.encoders.text.normal_form import normalise
from kae.encoders.vocabulary.fit import learn_vocabulary
from kae.encoders.vocabulary.vocabulary import Vocabulary
from kae.streams.catalog.inspect import inspect_feeds
from kae.streams.catalog.rows import read_items
from kae.streams.topology.parts import CatalogPart
from kae.streams.topology.types import Topology

pytestmark = pytest.mark.long


def proposed(feed: Path) -> CatalogPart:
    return CatalogPart.model_validate(inspect_feeds([feed], GROUPS).catalog)


def test_the_catalog_of_the_tests_is_what_the_topology_reads() -> None:
    topology = Topology.load()
    assert catalog_items() == list(read_items(CATALOG, topology.catalog))
    assert (topology.codebook_groups, topology.catalog.fields) == (GROUPS, FIELDS)


@pytest.mark.parametrize("feed", [german_fashion, groceries, japanese_goods, spanish_tools])
def test_any_catalog_in_any_letters_is_fitted(feed: Callable[[Path], Path], tmp_path: Path) -> None:
    path = feed(tmp_path)
    mapping = proposed(path)
    items = list(read_items([path], mapping))
    tiny = tuple(replace(group, capacity=4, reserved=1) for group in GROUPS)
    fields = dict(mapping.fields)
    fit = fit_groups(CatalogReader(lambda: items), tiny, fields, MergeWeights(), keep_declared=True)
    codebook = fit_codebook(fit, fields, 1)
    assert all(word.index for word in codebook.words)
    assert any(
        codebook.is_cluster(codebook.position_of(word.category), word.index)
        for word in codebook.words
    )
    codebook.save(tmp_path / "codebook")
    assert Codebook.load(tmp_path / "codebook").fingerprint == codebook.fingerprint


@pytest.mark.parametrize("feed", [german_fashion, groceries, japanese_goods, spanish_tools])
def test_any_catalog_in_any_letters_has_a_vocabulary(
    feed: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = feed(tmp_path)
    mapping = proposed(path)
    items = read_items([path], mapping)
    vocabulary = learn_vocabulary(items, SAMPLE_GROUPS, dict(mapping.fields))
    assert vocabulary.entries
    for each in vocabulary.entries:
        for form in each.forms:
            assert normalise(form.word) == form.word
            assert form.items > 0
    vocabulary.save(tmp_path / "vocabulary")
    assert Vocabulary.load(tmp_path / "vocabulary").entries == vocabulary.entries


def test_a_real_catalog_gives_six_groups_that_a_topology_takes() -> None:
    items = catalog_items(3000)
    fit = fit_groups(CatalogReader(lambda: items), GROUPS, FIELDS, MergeWeights())
    assert fit.declared_because == ""
    check_groups(fit.groups)
    bits = fit.representatives.information
    assert list(bits) == sorted(bits, reverse=True)
    declared = Topology.load()
    total = sum(group.capacity for group in declared.groups)
    assert sum(group.capacity for group in fit.groups) <= total
    changes = [
        {"name": g.name, "categories": g.categories, "capacity": g.capacity, "reserved": g.reserved}
        for g in fit.groups
    ]
    assert declared.edited({"groups": changes}).codebook_groups == fit.groups
    occurring = {name for group in fit.groups for name in group.categories}
    assert occurring == set(CATEGORIES)
