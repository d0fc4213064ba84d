"""The brokers that tests share."""

import os
from collections.abc import Iterator

import pytest
from tests.secured import SecuredKafka

from kae.deploy.brokers import ApacheKafka

# A broker of the tests lives for minutes: what the JVM's second compiler takes, half of the
# processor time of a start, never pays.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")

# `make secured`: the processes of tests/live come in with users that may do what they must alone.
BEHIND_ACLS = os.environ.get("KAE_TESTS_KAFKA") == "secured"


@pytest.fixture(scope="session")
def kafka(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[ApacheKafka]:
    if BEHIND_ACLS:
        yield request.getfixturevalue("secured").broker
        return
    with ApacheKafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    kafka = SecuredKafka(tmp_path_factory.mktemp("secured"))
    with kafka.broker:
        kafka.make_users()
        yield kafka
