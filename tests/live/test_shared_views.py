"""A decoder that maps what a replica in another process lays."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.live.killer import wait_for
from tests.live.ledger import Ledger, bind, deletes, upserts

from kae.deploy.cluster import Cluster
from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.streams.errors import StoreFolderUnusable
from kae.streams.replica.shared_views import SharedViews
from kae.streams.replica.shared_views_writer import SharedViewsWriter

pytestmark = [pytest.mark.alone, pytest.mark.cold]
DOCUMENT = Path(__file__).parents[2] / "docs" / "decoding.md"
ROOT = np.zeros((1, 0), np.uint16)


def live_items() -> Any:
    """The document's example."""
    section = DOCUMENT.read_text().split("## In separate processes")[1].split("\n## ")[0]
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
        exec(block, names)
    return names["live_items"]


def reserved(views: SharedViews, codebook: Codebook) -> int:
    """The reserved slots that may be emitted first where the position of entities comes next."""
    decode, depth = views.decode(), codebook.position_of(CATEGORY_INDEX["entity"])
    prefixes = np.zeros((1, 0), np.uint16)
    for _ in range(depth):
        places, slots = decode.children(prefixes)
        prefixes = np.column_stack([prefixes[places], slots])
    return len(set(decode.children(prefixes)[1].tolist()) & set(codebook.reserved(depth)))


def test_decoders_keep_the_last_view_of_a_killed_replica_and_go_on_with_the_next(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], codebook: Codebook, tmp_path: Path
) -> None:
    share = tmp_path / "share"
    cluster.start_worker("worker-1", wait=False)
    replica = cluster.start_replica("replica-1", None, "--share", str(share), wait=False)
    cluster.wait_ready()
    ledger.publish(upserts(catalog[:300]))
    wait_for(lambda: live_items()(share)[2] == 300, "all items")
    views = SharedViews(share, refresh_seconds=0)
    ledger.publish([bind("quietcore", items=[catalog[0].id])])
    wait_for(lambda: reserved(views, codebook) == 1, "the term's slot")
    with (
        pytest.raises(StoreFolderUnusable, match=r"another replica that runs.*--share"),
        SharedViewsWriter.open(share),
    ):
        pass

    replica.process.kill()
    left = views.decode()
    ledger.publish(deletes(catalog[:10], revision=2))
    wait_for(lambda: (views.age_seconds or 0) > 1, "an age that tells that nobody lays views")
    version, _, items = live_items()(share)
    assert (version, items) == (left.version, 300)

    seen = {300}

    def counted() -> bool:
        seen.add(int(views.decode().count(ROOT)[0]))
        return 290 in seen

    cluster.start_replica("replica-1", None, "--share", str(share), wait=False)
    wait_for(counted, "the next replica's views")
    assert seen == {300, 290}, "views that had less than the last one"
    assert (views.age_seconds or 0) < 1
    assert left.count(ROOT).tolist() == [300]
