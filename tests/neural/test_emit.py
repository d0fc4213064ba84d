"""A model that learns to emit identifiers; `kae bench emit` has figures worth telling."""

import pytest
from tests.icecat import CATALOG

from kae.bench.emit import measure_emit
from kae.bench.emit_catalog import bound_terms, read_catalog, view_of
from kae.bench.emit_model import Emitter
from kae.bench.emit_samples import Samples
from kae.streams.replica.decode import Decode


@pytest.mark.timeout(300)
def test_training_again_emits_the_same_and_nothing_but_live_paths() -> None:
    catalog = read_catalog(CATALOG, 500, seed=1)
    terms = bound_terms(catalog, 6, seed=1)
    decode = Decode(view_of(catalog.identifiers, terms), catalog.codebook)
    emitted = []
    for _ in range(2):
        samples = Samples(catalog, catalog.identifiers, known=True, routed=True, seed=1)
        model = Emitter(samples, seed=1)
        model.train(steps=10)
        emitted.append(model.emitted(samples.asked(terms[0], beside=True), decode, beam=8))
    assert emitted[0].tolist() == emitted[1].tolist()
    assert len(emitted[0]) == 8
    assert (decode.count(emitted[0]) > 0).all()


@pytest.mark.timeout(300)
def test_the_report_has_no_figure_for_slots_that_codes_do_not_have() -> None:
    report = measure_emit(CATALOG, items=500, terms=6, steps=5, beam=4, seed=1)
    assert report.rq_kmeans.alone.decoded is None
    for one in (report.self_routed, report.not_self_routed):
        assert one.alone.decoded is not None
        assert 0 <= one.alone.decoded <= report.terms
