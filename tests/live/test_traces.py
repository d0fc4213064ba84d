"""Traces: an item followed from its producer to the view of a replica, by every process."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.live.asking import kae
from tests.live.collector import CollectedSpan, Collector, collecting
from tests.live.ledger import Ledger, upserts
from tests.live.proof import prove

from kae.deploy.cluster import Cluster
from kae.deploy.demo import CATALOG
from kae.encoders.items import Item
from kae.streams.telemetry.traces import FOLLOWED_PER_DELTA, sampled

SAMPLED = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = b"00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b8-00"


def followed(spans: list[CollectedSpan], trace: str) -> list[CollectedSpan]:
    """The spans of a trace, in the order in which they began."""
    return sorted((span for span in spans if span.trace == trace), key=lambda span: span.begin_ns)


def test_an_item_is_followed_from_its_producer_to_the_view(
    cluster: Cluster,
    ledger: Ledger,
    catalog: list[Item],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with collecting() as collector:
        tell(monkeypatch, collector)
        cluster.start_worker("one", wait=False)
        cluster.start_replica("two", wait=False)
        cluster.wait_ready()
        first, second, third = upserts(catalog[:3])
        ledger.publish(
            [
                replace(first, headers=[("traceparent", SAMPLED)]),
                replace(second, headers=[("traceparent", UNSAMPLED)]),
                replace(third, headers=[("traceparent", b"nonsense")]),
            ]
        )
        kae(cluster, "catalog", "ingest", str(CATALOG[0]), "--limit", "2")
        spans = collector.spans(2 + 3 * 2)
    assert {span.trace for span in spans}.isdisjoint({UNSAMPLED.split(b"-")[1].decode()})
    foreign = followed(spans, SAMPLED.split(b"-")[1].decode())
    items, deltas = cluster.topology.items_topic, cluster.topology.deltas_topic
    assert [(span.service, span.name) for span in foreign] == [
        ("kae-worker", f"process {items}"),
        ("kae-replica", f"process {deltas}"),
    ]
    worker, replica = foreign
    assert worker.parent == SAMPLED.split(b"-")[2].decode()
    assert replica.parent == worker.id
    assert worker.attributes["kae.version"] == 1
    assert worker.attributes["kae.shard"] == ledger.home(catalog[0].id)
    ours = {span.trace for span in spans if span.service == "kae-ingest"}
    assert len(ours) == 2
    for trace in ours:
        sent, *_ = whole = followed(spans, trace)
        assert [span.name for span in whole] == [
            f"send {items}",
            f"process {items}",
            f"process {deltas}",
        ]
        assert [span.parent for span in whole] == ["", *(span.id for span in whole[:-1])]
        assert sent.attributes["messaging.kafka.message.key"]
        assert all(span.begin_ns < span.end_ns for span in whole)


def test_a_collector_that_is_away_holds_nothing_up(
    cluster: Cluster,
    ledger: Ledger,
    catalog: list[Item],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with collecting() as gone:
        tell(monkeypatch, gone)
    cluster.start_worker("one", wait=False)
    cluster.start_replica("two", wait=False)
    cluster.wait_ready()
    events = upserts(catalog[: FOLLOWED_PER_DELTA * 20])
    ledger.publish([replace(event, headers=[("traceparent", SAMPLED)]) for event in events])
    prove(cluster, ledger, tmp_path)


def tell(monkeypatch: pytest.MonkeyPatch, collector: Collector) -> None:
    """Have the processes that are started from here on trace."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")


@pytest.mark.parametrize(
    "value", [None, b"", b"00-1", SAMPLED[:-1], SAMPLED + b"0", UNSAMPLED, b"\xff" * 55]
)
def test_what_is_no_sampled_trace_is_not_followed(value: bytes | None) -> None:
    assert list(sampled([("traceparent", value), ("other", SAMPLED)])) == []
