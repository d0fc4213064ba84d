"""Snapshots in S3: through s3fs, from a server on loopback that speaks it."""

import logging
from collections.abc import Iterator
from pathlib import Path
from time import time

import fsspec
import httpx
import pytest
from moto.server import ThreadedMotoServer
from tests.sinks.test_recovery import Kept, prove

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.sinks.snapshots.archive import Archive, ArchiveUnreachable
from kae.sinks.snapshots.prune import plan_prune, prune

KEY, SECRET = "AKIAQUIETCORE0000000", "s3cr3t/that+nobody=prints"
URL = "s3://kae/snapshots"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where S3 is, for whoever asks the environment, as s3fs does; it has an empty bucket."""
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
def line(codebook: Codebook, catalog: list[Item], tmp_path: Path, endpoint: str) -> Iterator[Kept]:
    kept = Kept(codebook, catalog, tmp_path)
    kept.archive = Archive.open(URL, "deltas/0")
    kept.grow()
    kept.bind("zorblax")
    yield kept
    kept.close()


def test_a_new_owner_begins_with_what_is_whole_in_the_bucket(line: Kept) -> None:
    older = line.snapshot()
    line.grow()
    newest = line.snapshot()
    assert len(line.archive.manifests()) == 2
    shared = {file.blake2b for file in older.files} & {file.blake2b for file in newest.files}
    assert shared, "what two snapshots share is kept once"
    line.deltas.begins_at = older.offset
    first = line.another()
    assert (first.restored_from, first.rejected) == (str(newest.version), [])
    prove(line, first)
    first.close()
    own = max((file for file in newest.files if file.blake2b not in shared), key=lambda f: f.bytes)
    altered = f"kae/snapshots/deltas/0/blobs/{own.blake2b}"
    fsspec.filesystem("s3").pipe_file(altered, bytes(own.bytes))
    second = line.another()
    assert second.restored_from == str(older.version)
    assert own.name in second.rejected[0]
    prove(line, second)
    second.close()


def test_what_was_pruned_from_the_bucket_is_gone_and_the_rest_is_whole(line: Kept) -> None:
    taken = [line.snapshot()]
    for _ in range(2):
        line.grow()
        taken.append(line.snapshot())
    before = line.archive.blobs().keys()
    prune(line.archive, plan_prune(line.archive, 2, 0, int(time() * 1000) + 60_000, set()))
    kept = [line.archive.manifest(name) for name in line.archive.manifests()]
    assert kept == taken[:0:-1]
    assert line.archive.blobs().keys() == {file.blake2b for one in kept for file in one.files}
    assert line.archive.blobs().keys() < before
    shard = line.another()
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
    # Nor is a bucket made under a name that is mistyped, perhaps.
    told = f"{refused.value!r} {refused.value.__cause__!r} {caplog.text}"
    assert SECRET not in told
