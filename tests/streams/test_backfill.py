"""Stores that are built as a whole, beside those that were folded; and what a sample tells."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from msgspec.structs import replace
from tests.icecat import CATALOG

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Item
from kae.sinks.log.edits import DropItem, encode_edit
from kae.sinks.log.protocol import MemoryLog
from kae.sinks.shard import Shard
from kae.sinks.store import keys
from kae.sinks.store.bulk_load import BulkItem, bulk_load
from kae.sinks.store.plan import Change, Delete, Upsert, edit_without_ordinal, prepare
from kae.sinks.store.store import ShardStore
from kae.streams.backfill.estimate import estimate_backfill
from kae.streams.backfill.inputs import InputPart, RefusedInput, read_file
from kae.streams.backfill.job import Job, input_files, split_catalog
from kae.streams.backfill.refusals import RefusedRow
from kae.streams.cli.backfill import split_arguments
from kae.streams.events.envelope import Undecodable
from kae.streams.events.items import as_decoded, decode_item, encode_item_upsert
from kae.streams.generations.parity import compare_stores
from kae.streams.topology.types import Topology

BUFFER = 1 << 20


def changes_of(items: Sequence[Item], revision: int = 1) -> list[Change]:
    """Upserts in the order of ids, the last item deleted."""
    ordered = sorted(items, key=lambda item: item.id.encode())
    put: list[Change] = [Upsert(i.id, revision, b"content", i) for i in ordered[:-1]]
    return [*put, Delete(ordered[-1].id, revision, b"content")]


def filled(folder: Path, changes: Sequence[Change], encoder: Encoder) -> tuple[ShardStore, str]:
    rows = []
    for change, encoded in prepare(changes, encoder):
        edit = edit_without_ordinal(change, encoded)
        identifier = None if isinstance(edit, DropItem) else edit.identifier
        rows.append(BulkItem(change.id.encode(), change.revision, identifier, encode_edit(edit)))
    told = bulk_load(folder, rows, BUFFER)
    return ShardStore(folder, BUFFER), told.hash


def test_a_filled_store_has_the_rows_and_the_hash_of_a_folded_one(
    catalog: list[Item], codebook: Codebook, tmp_path: Path
) -> None:
    encoder, changes = Encoder(codebook), changes_of(catalog[:500])
    shard = Shard(
        tmp_path / "folded",
        MemoryLog(),
        owner="test",
        fingerprint=codebook.fingerprint,
        max_bytes=900_000,
        write_buffer_bytes=BUFFER,
    )
    plan = shard.plan_items(prepare(changes, encoder), {})
    shard.append_items(plan, 0, len(changes), at_ms=0).apply()
    store, told = filled(tmp_path / "filled", changes, encoder)
    mine, folded = store.dump(), shard.store.dump()
    for family in (keys.ITEMS, keys.ORDINALS, keys.TRIE):
        assert mine[family] == folded[family]
    assert told == store.content_hash() == shard.store.content_hash()
    assert (store.next_ordinal, store.live) == (499, 499)
    store.close()
    shard.close()


def test_a_difference_names_the_first_item_and_the_fields(
    catalog: list[Item], codebook: Codebook, tmp_path: Path
) -> None:
    encoder, changes = Encoder(codebook), changes_of(catalog[:50])
    ours, _ = filled(tmp_path / "ours", changes, encoder)
    newer = changes_of([*catalog[:50]], revision=2)
    theirs, _ = filled(tmp_path / "theirs", [*changes[:7], newer[7], *changes[8:20]], encoder)
    found = compare_stores(3, ours, theirs)
    assert not found.equal
    assert found.hash != found.against_hash
    assert found.first_difference is not None
    assert found.first_difference.item == changes[7].id
    assert found.first_difference.fields == ["revision"]
    fewer, _ = filled(tmp_path / "fewer", changes[1:], encoder)
    lacking = compare_stores(3, ours, fewer).first_difference
    assert lacking is not None
    assert (lacking.item, lacking.fields, lacking.theirs) == (changes[0].id, ["missing"], None)
    assert compare_stores(3, ours, ours).equal
    for store in (ours, theirs, fewer):
        store.close()


def test_a_sample_tells_what_a_backfill_of_the_catalog_takes(codebook_folder: Path) -> None:
    topology = Topology.load().edited({"codebook.path": str(codebook_folder)})
    one = estimate_backfill(topology, CATALOG, 65_536, workers=1, seconds=0.5)
    assert (one.files, one.rows, one.shards, one.sample_refused) == (2, 19_406, 8, 0)
    assert 0 < one.sample_rows <= one.rows
    assert one.store_bytes > 0 < one.core_hours
    two = estimate_backfill(topology, CATALOG, 65_536, workers=2, seconds=0.5)
    assert two.workers == 2


def read_whole(path: Path) -> list[InputPart | RefusedInput]:
    """What a backfill reads of a feed, in splits of two rows if it has row groups."""
    topology = Topology.load()
    splits = tuple(split_catalog([path], topology, 2))
    job = Job(
        generation=2,
        shards=topology.shards,
        fingerprint="",
        revision=5,
        as_of_ms=0,
        next_offsets=(0,) * topology.shards,
        files=input_files([path]),
        splits=splits,
    )
    return [part for split in splits for part in read_file(split, job, topology)]


def test_a_backfill_reads_each_row_of_parquet_or_refuses_it_by_its_field(tmp_path: Path) -> None:
    path = tmp_path / "feed.parquet"
    days = pa.array([0, 3_000_000, 1 << 30, None], pa.int32()).view(pa.date32())
    moments = pa.array([1_700_000_000_123_456_789] * 4, pa.timestamp("ns"))
    ids = pa.array([f"P-{n}" for n in range(4)])
    table = pa.table({"id": ids, "title": ids, "description": ids, "day": days, "made": moments})
    pyarrow.parquet.write_table(table, path, row_group_size=2)
    parts = read_whole(path)
    changes = [part[0] for part in parts if isinstance(part, tuple)]
    fields = [change.item.fields for change in changes if isinstance(change, Upsert)]
    assert [one.get("day") for one in fields] == ["1970-01-01", "10183-09-21", None]
    assert {one["made"] for one in fields} == {"2023-11-14T22:13:20.123456789"}
    (refused,) = [part for part in parts if isinstance(part, RefusedRow)]
    assert (refused.row.field, refused.row.after.rows) == ("day", 3)


def test_a_backfill_refuses_the_store_views_of_an_item(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    rows = "1,Mug,x,\n1,Becher,x,de\n2,Hut,x,de\n2,Hat,x,en\n"
    path.write_text(f"id,title,description,store_view_code\n{rows}")
    read = read_whole(path)
    changes = [part[0] for part in read if isinstance(part, tuple)]
    titles = [change.item.title for change in changes if isinstance(change, Upsert)]
    assert titles == ["Mug", "Hut"]
    refused = [part.row for part in read if isinstance(part, RefusedRow)]
    assert [(row.field, row.value, row.after.rows) for row in refused] == [
        ("store_view_code", "de", 2),
        ("store_view_code", "en", 4),
    ]


def test_what_follows_the_first_unknown_option_is_for_the_runner() -> None:
    options = ["--direct_running_mode", "multi_processing", "--direct_num_workers=2"]
    assert split_arguments(["a.parquet", "b.csv", *options]) == (["a.parquet", "b.csv"], options)
    assert split_arguments(["a.parquet"]) == (["a.parquet"], [])


WHOLE = Item("id", "a title", "a text", {"brand": "hp", "color": ["black", "red"]}, 2.5)
EVENT_BYTES = 262_144


def result(make: Callable[[], Change]) -> Change | tuple[str, str]:
    """The change, or why there is none."""
    try:
        return make()
    except Undecodable as error:
        return str(error), error.kind


@pytest.mark.parametrize(
    "item",
    [
        WHOLE,
        replace(WHOLE, id=""),
        replace(WHOLE, id="i" * 254),
        replace(WHOLE, id="i" * 255),
        replace(WHOLE, title="t" * 100_001),
        replace(WHOLE, description="\x00" * 50_000),
        replace(WHOLE, description="\x00" * 43_600),
        replace(WHOLE, fields={"": "no name"}),
        replace(WHOLE, fields={"many": ["value"] * 65}),
        replace(WHOLE, fields={"long": "v" * 20_001}),
        replace(WHOLE, fields={"f": "\u00e9\u2028\U0001f600"}),
        replace(WHOLE, popularity=-1.0),
        replace(WHOLE, popularity=1e19),
    ],
    ids=range(13),
)
def test_a_row_becomes_what_a_worker_reads_from_its_event(item: Item) -> None:
    def by_json() -> Change:
        value = encode_item_upsert(item, 7, "/kae/backfill")
        return decode_item(item.id.encode(), value, EVENT_BYTES)

    direct = result(lambda: as_decoded(item, 7, "/kae/backfill", EVENT_BYTES))
    assert direct == result(by_json)


def test_every_item_of_the_catalog_becomes_what_a_worker_reads_from_its_event(
    catalog: list[Item],
) -> None:
    for item in catalog:
        event = encode_item_upsert(item, 1, "/s")
        read = decode_item(item.id.encode(), event, EVENT_BYTES)
        assert as_decoded(item, 1, "/s", EVENT_BYTES) == read
