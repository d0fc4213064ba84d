"""`kae samples build` on Beam: what it reads, what it writes, and what it passes over."""

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from tests.icecat import catalog_items
from tests.streams.followed import Followed

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Item
from kae.encoders.retriever.samples import Sample, SampledItem
from kae.streams.errors import CatalogInvalid, SamplesInvalid
from kae.streams.retrieval.build_samples import (
    SamplesOptions,
    bound_forms,
    build_samples,
    export_items,
)
from kae.streams.retrieval.sample_files import SamplesManifest, read_manifest, read_part
from kae.streams.topology.types import Topology

ITEMS = 40
Rows = Sequence[dict[str, object]]


@pytest.fixture
def topology(codebook_folder: Path) -> Topology:
    return Topology.load().edited({"codebook.path": str(codebook_folder)})


@pytest.fixture
def items() -> list[Item]:
    return catalog_items(ITEMS)


def written(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def feed(path: Path, items: Sequence[Item]) -> Path:
    return written(path, [{"id": one.id, "title": one.title, **one.fields} for one in items])


def samples_of(folder: Path, stage: str) -> list[Sample]:
    return [
        sample
        for file in read_manifest(folder).files
        if file.name.startswith(stage)
        for sample in read_part(folder / file.name)
    ]


def built(
    topology: Topology, out: Path, catalog: Path, behaviour: Path, seed: int = 1
) -> SamplesManifest:
    options = SamplesOptions(out, (behaviour,), (catalog,), seed)
    return build_samples(topology, options)


@pytest.mark.timeout(240)
def test_what_is_read_is_used_or_passed_over_for_a_cause(
    topology: Topology, items: list[Item], codebook: Codebook, tmp_path: Path
) -> None:
    first, second = items[0], items[1]
    behaviour = written(
        tmp_path / "behaviour.jsonl",
        [
            {"query": first.title, "shown": [first.id, second.id], "clicked": [first.id]},
            {"query": "gone", "ordered": ["no such item"]},
            {"query": "only looked", "shown": [second.id]},
            {"query": "?!", "clicked": [first.id]},
            {"query": 7, "clicked": [first.id]},
            {"query": "text", "clicked": first.id},
        ],
    )
    broken = feed(tmp_path / "feed.jsonl", [*items, items[3], Item("x", "?!")])
    with broken.open("a", encoding="utf-8") as file:
        file.write('{"id": "y"}\n')
    manifest = built(topology, tmp_path / "out", broken, behaviour)
    counts = {kind: (one.read, one.used) for kind, one in manifest.counts.items()}
    assert counts["items"] == (ITEMS + 3, ITEMS)
    assert counts["behaviour"] == (6, 1)
    assert counts["reserved"] == (6 * 256, 6 * 256)
    for one in manifest.counts.values():
        assert one.read == one.used + sum(one.passed_over.values())
    assert manifest.counts["items"].passed_over == {
        "its id came before": 1,
        "its title has no words": 1,
        "no item": 1,
    }
    assert manifest.counts["behaviour"].passed_over == {
        "clicked is no list of item ids": 1,
        "its query has no words": 1,
        "none of its items is known": 1,
        "nothing was clicked or ordered": 1,
        "query is no text": 1,
    }
    assert manifest.codebook == codebook.fingerprint
    assert manifest == read_manifest(tmp_path / "out")
    assert sum(file.rows for file in manifest.files) == sum(
        number for tasks in manifest.tasks.values() for number in tasks.values()
    )


@pytest.mark.timeout(240)
def test_a_purchase_leads_to_the_identifier_that_workers_give_the_item(
    topology: Topology, items: list[Item], codebook: Codebook, tmp_path: Path
) -> None:
    chosen, before = items[5], items[9]
    catalog = feed(tmp_path / "feed.jsonl", items)
    behaviour = written(
        tmp_path / "behaviour.jsonl",
        [{"query": chosen.title, "ordered": [chosen.id], "history": [before.id]}],
    )
    built(topology, tmp_path / "out", catalog, behaviour)
    # The feed has no descriptions, so neither has the item.
    encoder = Encoder(codebook)
    identifiers = [
        encoder.encode(msgspec.structs.replace(item, description="")).identifier
        for item in (chosen, before)
    ]
    (asked,) = [one for one in samples_of(tmp_path / "out", "S3") if one.task == "retrieve"]
    assert asked.target_slots == identifiers[0]
    assert asked.history == (identifiers[1],)
    # The query is the title, and a title has the slots of its words.
    title = encoder.encode(Item("", chosen.title)).identifier
    assert all(slot in (asked.slots[p], 0) for p, slot in enumerate(title))


@pytest.mark.timeout(240)
def test_the_same_inputs_and_seed_give_the_same_bytes_and_another_seed_others(
    topology: Topology, items: list[Item], tmp_path: Path
) -> None:
    catalog = feed(tmp_path / "feed.jsonl", items)
    rows: Rows = [{"query": item.title, "clicked": [item.id]} for item in items]
    behaviour = written(tmp_path / "behaviour.jsonl", rows)
    contents = []
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        built(topology, tmp_path / name, catalog, behaviour, seed)
        contents.append(
            {
                str(path.relative_to(tmp_path / name)): path.read_bytes()
                for path in sorted((tmp_path / name).rglob("*"))
                if path.is_file()
            }
        )
    one, again, other = contents
    assert one == again
    assert {name.partition("/")[0] for name in one} == {"S0", "S1", "S2", "S3", "samples.json"}
    # Only self-routing is drawn by chance.
    assert {name for name in one if one[name] != other[name]} == {
        name for name in one if name.startswith("S3/") or name == "samples.json"
    }


def test_items_of_a_generation_come_with_the_slots_of_their_terms(
    followed: Followed, items: list[Item], tmp_path: Path
) -> None:
    followed.put(items)
    followed.bind("quietcore", where='brand = "hp"')
    followed.spread_all()
    followed.follow()
    view = followed.index.view
    (bound,) = view.visible.values()
    found = [
        item
        for part in export_items(view, tmp_path / "export")
        for item in msgspec.msgpack.decode(
            (tmp_path / "export" / part.name).read_bytes(), type=list[SampledItem]
        )
    ]
    assert {one.id for one in found} == {item.id for item in items}
    by_hp = {hit.id for hit in followed.search("quietcore")}
    assert 0 < len(by_hp) < ITEMS
    for one in found:
        item = view.live_item(one.id)
        assert item is not None
        assert (one.title, one.identifier) == (item.title, item.identifier)
        assert one.bound == (((bound.position, bound.index),) if one.id in by_hp else ())
    forms = {(one.form, one.position, one.index) for one in bound_forms(view)}
    assert forms == {("quietcore", bound.position, bound.index)}


def test_a_folder_that_holds_anything_is_left_as_it_is(topology: Topology, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("kept")
    with pytest.raises(SamplesInvalid, match="holds files already"):
        build_samples(topology, SamplesOptions(out, (), (tmp_path / "feed.jsonl",)))
    assert [path.name for path in out.iterdir()] == ["mine"]


def test_what_cannot_be_read_leaves_no_folder(topology: Topology, tmp_path: Path) -> None:
    with pytest.raises(CatalogInvalid):
        build_samples(topology, SamplesOptions(tmp_path / "out", (), (tmp_path / "no.jsonl",)))
    assert [*tmp_path.iterdir()] == []


def test_a_damaged_file_of_samples_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "part-0000.parquet"
    path.write_bytes(b"PAR1 no")
    with pytest.raises(SamplesInvalid, match="part-0000"):
        [*read_part(path)]
