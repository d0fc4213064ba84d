"""The catalog that ships, as encoders see it, and a codebook of a slice of it; without streams/."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyarrow import parquet
from tests.once import made_once

from kae.encoders.categories import Group
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.fitting.build import build_codebook
from kae.encoders.items import Item

ROOT = Path(__file__).parents[1]
CATALOG = sorted((ROOT / "deploy" / "local" / "catalog").glob("*.parquet"))
_DECLARED = yaml.safe_load((ROOT / "topology.yaml").read_text())
GROUPS = tuple(
    Group(each["name"], tuple(each["categories"]), each["capacity"], each["reserved"])
    for each in _DECLARED["groups"]
)
FIELDS: dict[str, str] = _DECLARED["catalog"]["fields"]


def catalog_items(limit: int | None = None) -> list[Item]:
    """The first items of the Icecat catalog; as `kae catalog` reads them (tests/streams)."""
    rows = (row for path in CATALOG for row in _rows(path))
    return [_item(row) for row in islice(rows, limit)]


def _rows(path: Path) -> Any:
    for batch in parquet.ParquetFile(path).iter_batches():
        yield from batch.to_pylist()


def _item(row: dict[str, Any]) -> Item:
    said = {"name": row["name"], "brand": row["brand"], "date_released": row["date_released"]}
    fields = {name: value for name, value in said.items() if value}
    for name, value in row["attributes"] or ():
        if value:
            fields.setdefault(name, value)
    return Item(row["id"], row["title"], row["description"] or "", fields)


@pytest.fixture(scope="session")
def catalog() -> list[Item]:
    return catalog_items(2000)


@pytest.fixture(scope="session")
def codebook_folder(
    catalog: list[Item], tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Path:
    def build(folder: Path) -> None:
        build_codebook(lambda: catalog, GROUPS, FIELDS, folder)

    return made_once("codebook", build, tmp_path_factory, worker_id)


@pytest.fixture(scope="session")
def codebook(codebook_folder: Path) -> Codebook:
    return Codebook.load(codebook_folder)
