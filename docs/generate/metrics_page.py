"""docs/metrics.md, from the list: python -m docs.generate.metrics_page > docs/metrics.md"""

import sys

from kae.streams.telemetry.metrics import METRICS, Metric, MetricProcess

HEAD = """# Metrics

A worker exposes its metrics at `/metrics` of `worker.listen`, a replica at `/metrics` of
`replica.listen`, along with the metrics of its process (`process_resident_memory_bytes`, ...).
Counters of events come from the logs, so they continue when a shard moves to another worker. The
alerts are in `deploy/monitoring/alerts.yml`; [runbooks.md](runbooks.md) says what to do about each.

Labels: `shard` and `position` are numbers; `outcome` is the result of a source record (put,
dropped, stale, dead), or lost, if it was deleted unread; `stage` is encode, plan, append_wait or
apply; `cause` is why a shard was given up.

Generated from `streams/telemetry/metrics.py` by
`python -m docs.generate.metrics_page > docs/metrics.md`; a test compares them.
"""
TITLES: dict[MetricProcess, str] = {"worker": "Worker", "replica": "Replica"}


def page() -> str:
    """The content of the page."""
    return "\n".join([HEAD, *(_section(process, title) for process, title in TITLES.items())])


def _section(process: MetricProcess, title: str) -> str:
    rows = [_row(metric) for metric in METRICS if metric.process == process]
    return "\n".join(
        [
            f"## {title}\n",
            "| metric | labels | kind, unit | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _row(metric: Metric) -> str:
    labels = " ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {labels} | {metric.kind}, {metric.unit} | {metric.meaning} |"


if __name__ == "__main__":
    sys.stdout.write(page())
