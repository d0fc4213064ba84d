"""After any history of events and failures, stores and replicas are what the oracle says."""

import pytest
from tests.sinks.any_history import run

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.sinks.log.protocol import MemoryLog


@pytest.mark.long
@pytest.mark.timeout(300)
def test_any_history_in_memory_ends_as_the_oracle_says(
    codebook: Codebook, catalog: list[Item]
) -> None:
    run(MemoryLog, codebook, catalog, examples=60, steps=40)
