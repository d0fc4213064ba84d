"""The real parts that tests share: a broker, a catalog, a codebook fitted on a slice of it."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from tests.once import made_once
from tests.secured import SecuredKafka

from kae.deploy.brokers import ApacheKafka
from kae.encoders.attributes import Item
from kae.encoders.build import build_codebook
from kae.encoders.codebook import Codebook
from kae.streams.catalog import read_items
from kae.streams.topology import Topology

CATALOG = sorted((Path(__file__).parents[1] / "deploy" / "local" / "catalog").glob("*.parquet"))


# A broker of the tests lives for minutes: what the JVM's second compiler takes, half of the
# processor time of a start, never pays.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")

# `make secured`: the processes of tests/live come in with users that may do what they must alone.
BEHIND_ACLS = os.environ.get("KAE_TESTS_KAFKA") == "secured"


def catalog_items(limit: int | None = None) -> list[Item]:
    """The first items of the Icecat catalog."""
    return list(islice(read_items(CATALOG, Topology.load().catalog), limit))


@pytest.fixture(scope="session")
def catalog() -> list[Item]:
    return catalog_items(2000)


@pytest.fixture(scope="session")
def codebook_folder(
    catalog: list[Item], tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Path:
    topology = Topology.load()

    def build(folder: Path) -> None:
        build_codebook(lambda: catalog, topology.codebook_groups, topology.catalog.fields, folder)

    return made_once("codebook", build, tmp_path_factory, worker_id)


@pytest.fixture(scope="session")
def codebook(codebook_folder: Path) -> Codebook:
    return Codebook.load(codebook_folder)


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
