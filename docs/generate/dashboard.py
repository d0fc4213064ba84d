"""The Grafana dashboard, from the list of metrics.

python -m docs.generate.dashboard > deploy/monitoring/dashboard.json
"""

import json
import sys
from dataclasses import dataclass
from typing import Any

from kae.streams.telemetry import metrics
from kae.streams.telemetry.metrics import Metric

COLUMNS, WIDTH, HEIGHT = 3, 8, 8


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph: a PromQL expression over one metric."""

    title: str
    metric: Metric
    expression: str  # {} stands for the metric's name
    legend: str


RATE = "rate({}[1m])"
P99 = "histogram_quantile(0.99, sum by (le, instance) (rate({}_bucket[1m])))"
PANELS = (
    Panel("Freshness: age of replicas' views", metrics.REPLICA_AGE, "{}", "{{instance}}"),
    Panel("Lag of shards", metrics.WORKER_LAG_SECONDS, "max by (shard) ({})", "shard {{shard}}"),
    Panel("Apply lag of replicas, p99", metrics.REPLICA_APPLY_LAG, P99, "{{instance}}"),
    Panel(
        "Events indexed",
        metrics.WORKER_EVENTS,
        "sum by (outcome) (rate({}[1m]))",
        "{{outcome}}",
    ),
    Panel(
        "Dead letters in an hour",
        metrics.WORKER_EVENTS,
        'sum by (shard) (increase({}{{outcome="dead"}}[1h]))',
        "shard {{shard}}",
    ),
    Panel(
        "Stages of a batch, p99",
        metrics.WORKER_STAGE,
        "histogram_quantile(0.99, sum by (le, stage) (rate({}_bucket[1m])))",
        "{{stage}}",
    ),
    Panel(
        "Free slots", metrics.WORKER_SLOTS_FREE, "max by (position) ({})", "position {{position}}"
    ),
    Panel("Behaviour events", metrics.WORKER_BEHAVIOURS, "max(rate({}[5m]))", "events a second"),
    Panel("Searches, p99", metrics.REPLICA_SEARCH, P99, "{{instance}}"),
    Panel("Decoding while deltas are applied, p99", metrics.REPLICA_DECODE, P99, "{{instance}}"),
    Panel("Bootstrap lag of replicas", metrics.REPLICA_BOOTSTRAP_LAG, "{}", "{{instance}}"),
    Panel("Building a view, p99", metrics.REPLICA_VIEW_BUILD, P99, "{{instance}}"),
    Panel("Records that replicas are behind", metrics.REPLICA_BEHIND, "{}", "{{instance}}"),
    Panel("Shards held", metrics.WORKER_SHARDS, "{}", "{{instance}}"),
    Panel(
        "Age of snapshots", metrics.WORKER_SNAPSHOT_AGE, "max by (shard) ({})", "shard {{shard}}"
    ),
    Panel("Live items", metrics.REPLICA_ITEMS, "{}", "{{instance}}"),
    Panel("Requests to replicas", metrics.REPLICA_REQUESTS, RATE, "{{route}} {{status}}"),
    Panel("Free disk of workers", metrics.WORKER_DISK_FREE, "{}", "{{instance}}"),
)


def dashboard() -> str:
    """The dashboard as JSON for Grafana, with a final newline."""
    page = {
        "uid": "kae",
        "title": "kae",
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus"}]},
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }
    return json.dumps(page, indent=1) + "\n"


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${source}"}
    row, column = divmod(number, COLUMNS)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.metric.meaning,
        "datasource": source,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": _unit(panel), "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": "A",
                "datasource": source,
                "expr": panel.expression.format(panel.metric.name),
                "legendFormat": panel.legend,
            }
        ],
    }


def _unit(panel: Panel) -> str:
    """Grafana's name of the unit."""
    if panel.expression.startswith(("rate", "sum by (outcome) (rate")):
        return "cps"
    return {"seconds": "s", "bytes": "bytes"}.get(panel.metric.unit, "short")


if __name__ == "__main__":
    sys.stdout.write(dashboard())
