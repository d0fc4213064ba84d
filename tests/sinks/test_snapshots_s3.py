"""Snapshots in S3: through s3fs, from a server on loopback that speaks it."""

import logging
from collections.abc import Iterator
from pathlib import Path
from time import time

import fsspec
import httpx
import pytest
from moto.server import ThreadedMotoServer
from tests.sinks.test_recovery import ArchivedPipeline, assert_same_state

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.sinks.snapshots.archive import Archive, ArchiveUnreachable
from kae.sinks.snapshots.prune import plan_prune, prune

KEY, SECRET = "AKIAQUIETCORE0000000", "s3cr3t/that+nobody=prints"
URL = "s3://kae/snapshots"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an S3 with an empty bucket, in the environment that s3fs reads."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    at = f"http://{host}:{port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", at)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    # Servers of one process share their buckets.
    httpx.post(f"{at}/moto-api/reset").raise_for_status()
    fsspec.filesystem("s3").mkdir("kae")
    yield at
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    server.stop()


@pytest.fixture
def pipeline(
    codebook: Codebook, catalog: list[Item], tmp_path: Path, endpoint: str
) -> Iterator[ArchivedPipeline]:
    made = ArchivedPipeline(codebook, catalog, tmp_path)
    made.archive = Archive.open(URL, "deltas/0")
    made.grow()
    made.bind("zorblax")
    yield made
    made.close()


def test_a_new_owner_restores_the_newest_whole_snapshot_of_the_bucket(
    pipeline: ArchivedPipeline,
) -> None:
    older = pipeline.snapshot()
    pipeline.grow()
    newest = pipeline.snapshot()
    assert len(pipeline.archive.manifests()) == 2
    shared = {file.blake2b for file in older.files} & {file.blake2b for file in newest.files}
    assert shared, "a file of two snapshots is stored once"
    pipeline.log.begins_at = older.offset
    first = pipeline.next_owner()
    assert (first.restored_from, first.rejected) == (str(newest.version), [])
    assert_same_state(pipeline, first)
    first.close()
    own = max((file for file in newest.files if file.blake2b not in shared), key=lambda f: f.bytes)
    altered = f"kae/snapshots/deltas/0/blobs/{own.blake2b}"
    fsspec.filesystem("s3").pipe_file(altered, bytes(own.bytes))
    second = pipeline.next_owner()
    assert second.restored_from == str(older.version)
    assert own.name in second.rejected[0]
    assert_same_state(pipeline, second)
    second.close()


def test_pruned_snapshots_are_gone_from_the_bucket_and_the_rest_is_whole(
    pipeline: ArchivedPipeline,
) -> None:
    taken = [pipeline.snapshot()]
    for _ in range(2):
        pipeline.grow()
        taken.append(pipeline.snapshot())
    before = pipeline.archive.blobs().keys()
    prune(pipeline.archive, plan_prune(pipeline.archive, 2, 0, int(time() * 1000) + 60_000, set()))
    kept = [pipeline.archive.manifest(name) for name in pipeline.archive.manifests()]
    assert kept == taken[:0:-1]
    assert pipeline.archive.blobs().keys() == {file.blake2b for one in kept for file in one.files}
    assert pipeline.archive.blobs().keys() < before
    shard = pipeline.next_owner()
    assert shard.restored_from == str(taken[2].version)
    shard.close()


@pytest.mark.parametrize("url", ["s3://nobody-has-this/snapshots", URL], ids=["no bucket", "no S3"])
def test_an_archive_that_does_not_answer_is_named_and_no_secret_is(
    url: str, endpoint: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    if url == URL:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        fsspec.get_filesystem_class("s3").clear_instance_cache()
    archive = Archive.open(url, "deltas/0")
    with pytest.raises(ArchiveUnreachable, match=url.removeprefix("s3://")) as refused:
        archive.put_manifest("00000000000000000001.0.json", b"{}")
    # No bucket is created: its name may be a typing error.
    shown = f"{refused.value!r} {refused.value.__cause__!r} {caplog.text}"
    assert SECRET not in shown
