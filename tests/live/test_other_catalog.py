"""A catalog that kae has never seen is indexed by writing a field mapping, and nothing else."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml
from tests.fetching import fetch
from tests.live.test_replica import wait_until
from tests.streams.unmapped_feeds import german_fashion, groceries

from kae.deploy.brokers import ApacheKafka, free_port
from kae.deploy.processes import Process, answers, kae_command
from kae.streams.topology.types import REFERENCE

BY_HAND = {
    "id": "Artikelnummer",
    "title": "Bezeichnung",
    "description": "Langtext",
    "popularity": None,
    "revision": None,
    "separator": "|",
    "fields": {
        "Warengruppe": "entity",
        "Hersteller": "brand",
        "Hauptfarbe": "color",
        "Obermaterial": "material",
        "Saison": "season",
    },
}


class Shop:
    """A folder with a topology.yaml, in which the real commands are given."""

    def __init__(self, folder: Path, kafka: ApacheKafka) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        document = yaml.safe_load(REFERENCE.read_text(encoding="utf-8"))
        document["shards"] = 2
        document["kafka"]["bootstrap"] = kafka.bootstrap
        document["topics"]["prefix"] = folder.name
        document["codebook"]["path"] = "codebook"
        document["replica"]["listen"] = self.address
        self.write(document)

    def write(self, document: dict[str, object]) -> None:
        text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
        (self.folder / "topology.yaml").write_text(text, encoding="utf-8")

    def map(self, catalog: object) -> None:
        """Write the one section that is another catalog's."""
        text = (self.folder / "topology.yaml").read_text(encoding="utf-8")
        self.write({**yaml.safe_load(text), "catalog": catalog})

    def start(self, *arguments: str) -> Process:
        name = "-".join(arguments[:2])
        log = self.folder / f"{name}.log"
        return Process(name, kae_command(*arguments), log, cwd=self.folder).start()

    def run(self, *arguments: str) -> Process:
        """A command that has to succeed."""
        command = self.start(*arguments)
        assert command.wait(60) == 0, command.output()
        return command

    def titles(self, query: str) -> set[str]:
        answer = fetch(f"http://{self.address}/search", {"q": query, "limit": 100})
        return {hit["title"] for hit in answer.json()["items"]}

    def items(self) -> int:
        answer = fetch(f"http://{self.address}/status")
        count: int = answer.json()["items"]
        return count


@pytest.fixture
def shop(kafka: ApacheKafka, tmp_path: Path) -> Shop:
    return Shop(tmp_path, kafka)


def indexed(shop: Shop, feed: str, items: int) -> tuple[Process, Process]:
    """Everything that the README says, for a feed; returns the worker and the replica."""
    shop.run("topology", "check")
    shop.run("codebook", "build", feed, "--out", "codebook")
    shop.run("topics", "apply")
    worker = shop.start("worker", "run")
    replica = shop.start("replica", "run")
    replica.wait_ready(answers(f"http://{shop.address}/readyz"))
    report = shop.run("catalog", "ingest", feed, "--json")
    assert report.report()["published"] == items
    assert report.report()["coverage"]["sufficient"] is True
    assert "warning" not in report.output()
    wait_until(lambda: shop.items() == items, within_seconds=40)
    return worker, replica


def test_a_german_shop_is_indexed_by_a_mapping_written_by_hand(shop: Shop) -> None:
    feed = german_fashion(shop.folder).name
    shop.map(BY_HAND)
    worker, replica = indexed(shop, feed, items=48)
    with worker, replica:
        dresses = shop.titles("ABENDKLEID dunkelgrün")
        assert "Abendkleid Dunkelgrün von Süßmann" in dresses
        shown = shop.run("item", "explain", "DE-1000", "--json").report()
        words = {(a["category"], a["word"]) for a in shown["attributes"] if a["source"] == "field"}
        assert words >= {
            ("entity", "ubergangsjacke"),
            ("brand", "sussmann"),
            ("color", "weiss"),
            ("material", "baumwolle"),
            ("material", "elasthan"),
            ("season", "sommer"),
        }
        bound = shop.run("term", "bind", "Kühlwetter", "--where", 'material = "Schurwolle"')
        assert "24 items" in bound.output()
        assert len(shop.titles("kühlwetter")) == 24
        assert shop.run("log", "verify", "--json").report()["equal"] is True


def test_a_packed_feed_is_indexed_by_the_mapping_that_inspect_proposes(shop: Shop) -> None:
    feed = groceries(shop.folder).name
    proposed = shop.run("catalog", "inspect", feed, "--json").report()
    shop.map(yaml.safe_load(proposed["yaml"])["catalog"])
    worker, replica = indexed(shop, feed, items=60)
    with worker, replica:
        assert all("green tea" in title for title in shop.titles("green tea"))
        shown = shop.run("item", "explain", proposed["sample"]["id"], "--json").report()
        (own,) = [path for path in shown["paths"] if path["term"] is None]
        # What inspect showed is what the index holds.
        assert own["words"] == [word["word"] for word in proposed["sample"]["words"]]


def test_ingest_warns_of_a_mapping_for_another_catalog_and_tells_every_rejected_row(
    shop: Shop,
) -> None:
    shop.run("topics", "apply")
    rows = "id,title,description,farbe,marke\n1,a,,rot,x\n2,b,,blau,y\n1,c,,rot,x\n3,d\n"
    (shop.folder / "feed.csv").write_text(rows + f"4,e,,{'f' * 20_001},x\n")
    ingest = shop.start("catalog", "ingest", "feed.csv", "--json")
    assert ingest.wait(60) == 1
    report = ingest.report()
    assert (report["published"], report["rejected"]) == (2, 3)
    assert report["coverage"]["percent"] == 0.0
    assert [share["field"] for share in report["coverage"]["unmapped_common"]] == ["farbe", "marke"]
    warning, error = [line for line in ingest.output().splitlines() if not line.startswith("{")]
    assert warning.startswith("warning: catalog.fields covers 0% of the")
    assert "most items have farbe, marke" in warning
    assert "kae catalog inspect" in warning
    assert error.startswith("error: 3 of 5 rows are not items")
    kept = (shop.folder / "feed.csv.rejected.jsonl").read_text(encoding="utf-8").splitlines()
    told = [yaml.safe_load(line) for line in kept]
    assert [(row["row"], row["field"]) for row in told] == [(3, "id"), (4, ""), (5, "farbe")]
    assert all(row["file"] and row["reason"] and row["remedy"] for row in told)
    assert told[0]["value"] == "'1'"


def test_an_ingest_of_odd_feeds_counts_each_row_as_published_or_as_rejected(shop: Shop) -> None:
    shop.run("topics", "apply")
    header = ("id", "title", "description")
    names = ("plain", "plain", '"7 inch tablet', "plain", '"9 inch tablet', "plain")
    for name, delimiter in (("a.tsv", "\t"), ("b.csv", ",")):
        rows = [header, *((f"{name}-{n}", title, "x") for n, title in enumerate(names))]
        text = "".join(delimiter.join(row) + "\n" for row in rows)
        (shop.folder / name).write_text(text)
    objects = [{"id": f"c-{n}", "title": "x"} for n in range(3)] + [{"id": "y" * 256, "title": "x"}]
    (shop.folder / "c.json").write_text(json.dumps(objects, indent=2))
    moments = pa.array([1_700_000_000_123_456_789] * 9, pa.timestamp("ns"))
    ids = pa.array([f"d-{n}" for n in range(9)])
    table = pa.table({"id": ids, "title": ids, "description": ids, "made": moments})
    pyarrow.parquet.write_table(table, shop.folder / "d.parquet")
    ingest = shop.start("catalog", "ingest", "a.tsv", "b.csv", "c.json", "d.parquet", "--json")
    assert ingest.wait(60) == 1
    report = ingest.report()
    assert (report["rows"], report["published"], report["rejected"]) == (25, 23, 2)
    kept = (shop.folder / "a.tsv.rejected.jsonl").read_text(encoding="utf-8").splitlines()
    told = [json.loads(line) for line in kept]
    assert [(Path(row["file"]).name, row["row"]) for row in told] == [("b.csv", 3), ("b.csv", 5)]
