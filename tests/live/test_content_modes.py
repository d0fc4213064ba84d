"""Binary and structured events, newer and other versions, through a worker on Apache Kafka."""

import json
from dataclasses import replace
from pathlib import Path

from tests.live.ledger import Event, Ledger, bind, upserts
from tests.live.proof import prove
from tests.live.test_accidents import dead_letters
from tests.streams.binary import as_binary

from kae.deploy.cluster import Cluster
from kae.encoders.items import Item

TRACED = [("traceparent", b"00-1")]
AVRO = [("content-type", b"application/cloudevents+avro")]


def binary(event: Event) -> Event:
    headers, data = as_binary(event.value or b"")
    return replace(event, value=data, headers=headers)


def changed(event: Event, **attributes: object) -> Event:
    return replace(
        event, value=json.dumps({**json.loads(event.value or b""), **attributes}).encode()
    )


def test_both_modes_give_one_index_and_other_majors_are_dead_letters(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], tmp_path: Path
) -> None:
    events = upserts(catalog[:200])
    minor = [changed(event, dataschema="https://shop.example/v1.3") for event in events[150:]]
    # The middle comes in both modes: the second of each pair is stale, since its data is the same.
    published = [*events[:100], *map(binary, events[50:150]), *map(binary, minor[1:])]
    published.append(replace(minor[0], headers=TRACED))
    major = changed(events[0], type="kae.item.upsert.v2")
    refused = [major, binary(major), replace(major, headers=AVRO)]
    cluster.start_worker("one")
    ledger.publish([binary(bind("zorblax", match="black")), *published, *refused])
    prove(cluster, ledger, tmp_path)
    counts = [ledger.counts(shard) for shard in range(cluster.topology.shards)]
    assert sum(count.put for count in counts) == 200
    assert sum(count.stale for count in counts) == 50
    letters = dead_letters(cluster)
    causes = sorted(headers["kae-cause"].decode() for _, headers in letters)
    assert "is a format of CloudEvents that kae does not read" in causes[0]
    assert ["kae knows kae.item.upsert.v1" in cause for cause in causes] == [False, True, True]
    kept = [value for value, headers in letters if headers.get("ce_type") == b"kae.item.upsert.v2"]
    assert kept == [binary(major).value]
