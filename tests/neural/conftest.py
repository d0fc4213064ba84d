"""A model of all four stages, trained once."""

from pathlib import Path

import pytest
from tests.neural.retriever_samples import SAMPLES, SEED, capacities_of, small_plan, stage_samples

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.retriever.stage_samples import StageSamples
from kae.encoders.retriever.training import train


@pytest.fixture(scope="session")
def samples(codebook: Codebook) -> StageSamples:
    return stage_samples(codebook)


@pytest.fixture(scope="session")
def model_folder(
    samples: StageSamples, codebook: Codebook, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("model")
    train(
        samples,
        small_plan(SAMPLES),
        capacities_of(codebook),
        out,
        seed=SEED,
        codebook=codebook.fingerprint,
    )
    return out
