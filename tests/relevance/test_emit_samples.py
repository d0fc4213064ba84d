"""What a model of `kae bench emit` learns from, and what it cannot have seen."""

import pytest
from tests.icecat import CATALOG

from kae.bench.emit_catalog import EmitCatalog, bound_terms, read_catalog, view_of
from kae.bench.emit_samples import END, UNKNOWN, Samples
from kae.encoders.categories import POSITIONS
from kae.streams.replica.decode import Decode


@pytest.fixture(scope="module")
def bench_catalog() -> EmitCatalog:
    return read_catalog(CATALOG, 500, seed=1)


def reserved_tokens(catalog: EmitCatalog, samples: Samples) -> set[int]:
    return {
        samples.layout.tokens_of(position).start + index
        for position in range(POSITIONS)
        for index in catalog.codebook.reserved(position)
    }


def seen(samples: Samples) -> set[int]:
    drawn = (sample for batch in samples.batches(400, 64) for sample in batch)
    return {token for sample in drawn for token in (*sample.source, *sample.target)}


def test_without_self_routing_no_reserved_slot_is_ever_seen_and_with_it_all_are(
    bench_catalog: EmitCatalog,
) -> None:
    own = bench_catalog.identifiers
    without = Samples(bench_catalog, own, known=True, routed=False, seed=1)
    assert not seen(without) & reserved_tokens(bench_catalog, without)
    routed = Samples(bench_catalog, own, known=True, routed=True, seed=1)
    assert reserved_tokens(bench_catalog, routed) - seen(routed) == set()


def test_codes_are_asked_for_with_words_alone(bench_catalog: EmitCatalog) -> None:
    samples = Samples(bench_catalog, bench_catalog.codes, known=False, routed=False, seed=1)
    (term, *_) = bound_terms(bench_catalog, 6, seed=1)
    assert samples.asked(term, beside=False) == [UNKNOWN, END]
    assert max(samples.asked(term, beside=True)) < samples.layout.base


def test_a_bound_term_has_a_path_in_the_view_and_its_items_behind_it(
    bench_catalog: EmitCatalog,
) -> None:
    terms = bound_terms(bench_catalog, 60, seed=1)
    decode = Decode(view_of(bench_catalog.identifiers, terms), bench_catalog.codebook)
    unbound = Decode(view_of(bench_catalog.identifiers, ()), bench_catalog.codebook)
    for term in terms:
        paths = bench_catalog.identifiers[list(term.items)]
        paths[:, term.slot.position] = term.slot.index
        found = decode.behind(paths, 100).ordinals.tolist()
        assert set(term.items) <= set(found)
        assert not len(unbound.behind(paths, 100).ordinals)
    with pytest.raises(ValueError, match="385 terms; there are 384 reserved slots"):
        bound_terms(bench_catalog, 385, seed=1)
