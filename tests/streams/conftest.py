"""A replica's index over logs in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.streams.followed import Followed

from kae.encoders.codebook.codebook import Codebook


@pytest.fixture
def followed(codebook: Codebook, tmp_path: Path) -> Iterator[Followed]:
    made = Followed(codebook, tmp_path)
    yield made
    made.close()
