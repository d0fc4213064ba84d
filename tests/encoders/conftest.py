from pathlib import Path

import pytest
from tests.encoders.sample import FIELDS, GROUPS, catalog

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.fitting.build import build_codebook


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sample")
    build_codebook(catalog, GROUPS, FIELDS, out)
    return out


@pytest.fixture(scope="session")
def sample(sample_folder: Path) -> Codebook:
    return Codebook.load(sample_folder)
