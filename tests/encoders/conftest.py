from pathlib import Path

import pytest
from tests.encoders.sample import FIELDS, GROUPS, catalog

from kae.encoders.build import build_codebook
from kae.encoders.codebook import Codebook


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sample")
    build_codebook(catalog, GROUPS, FIELDS, out)
    return out


@pytest.fixture(scope="session")
def sample(sample_folder: Path) -> Codebook:
    return Codebook.load(sample_folder)
