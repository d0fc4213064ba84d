"""Fixtures for every test."""

import os

# As many tests as processors, and more: threads of BLAS beside them would wait for each other.
# Before anybody imports numpy. That threads change nothing, tests/encoders/test_tagger.py shows.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

pytest_plugins = [
    "tests.needs",
    "tests.icecat",
    "tests.brokers",
    "tests.warm",
]
