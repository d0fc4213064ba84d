"""A replica's index over logs in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.streams.followed import Followed

from kae.encoders.codebook.codebook import Codebook


@pytest.fixture
def line(codebook: Codebook, tmp_path: Path) -> Iterator[Followed]:
    followed = Followed(codebook, tmp_path)
    yield followed
    followed.close()
