"""docs/metrics.md, made from the list: python -m docs.generate.metrics_page > docs/metrics.md"""

import sys

from kae.streams.telemetry.metrics import METRICS, Face, Metric

HEAD = """# Metrics

Made from `streams/telemetry/metrics.py` by
`python -m docs.generate.metrics_page > docs/metrics.md`; a test compares them. A worker tells its
metrics at `/metrics` of `worker.listen`, a replica at `/metrics` of `replica.listen`, each beside
those of its process (`process_resident_memory_bytes`, ...). Counters of events are the logs' own:
they go on where they were when a shard moves. What to do when one of them is out of bounds:
[runbooks.md](runbooks.md); the alarms: `deploy/monitoring/alerts.yml`.

Labels: `shard` and `position` are numbers; `outcome` is what became of a source record (put,
dropped, stale, dead); `stage` is encode, plan, append_wait or apply; `cause` is fenced,
append_unknown or disk_full.
"""
FACES: dict[Face, str] = {"worker": "Worker", "replica": "Replica"}


def page() -> str:
    """The page as it has to be."""
    return "\n".join([HEAD, *(_section(face, title) for face, title in FACES.items())])


def _section(face: Face, title: str) -> str:
    rows = [_row(metric) for metric in METRICS if metric.face == face]
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
