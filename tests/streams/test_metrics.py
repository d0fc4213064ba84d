"""The list of metrics, and what is made from it: the page, the alarms, what processes tell."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from docs.generate.dashboard import dashboard
from docs.generate.metrics_page import page
from prometheus_client.parser import text_string_to_metric_families
from tests.streams.followed import Followed

from kae.encoders.items import Item
from kae.sinks.log.edits import Counts, Delta, SourceRange, encode_record
from kae.streams.replica.freshness import FreshnessGauge
from kae.streams.replica.readings import ReplicaReadings
from kae.streams.telemetry.metrics import METRICS
from kae.streams.telemetry.registry import MetricRegistry

ROOT = Path(__file__).parents[2]
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/monitoring/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
KNOWN = {metric.name: metric for metric in METRICS}
TARGET_LABELS = {"job", "instance"}
GROUPING = re.compile(r"\b(?:by|on|group_left|group_right)\s*\(([^)]*)\)")
SELECTED = re.compile(r"(kae_\w+)(?:\{([^}]*)\})?")
COMPARED = re.compile(r"^(kae_\w+) (==|<|>) ([\d.]+)$")


def test_names_are_unique_and_end_as_their_kind_and_unit_say() -> None:
    assert len(KNOWN) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch(r"kae_(worker|replica)_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        bare = metric.name.removesuffix("_total")
        for unit in ("seconds", "bytes"):
            assert bare.endswith(f"_{unit}") == (metric.unit == unit), metric.name


def test_the_page_of_the_metrics_is_what_the_list_says() -> None:
    written = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    assert written == page(), "python -m docs.generate.metrics_page > docs/metrics.md"


def test_the_dashboard_is_what_the_list_says_and_asks_for_what_is_told() -> None:
    written = (ROOT / "deploy/monitoring/dashboard.json").read_text(encoding="utf-8")
    assert written == dashboard(), (
        "python -m docs.generate.dashboard > deploy/monitoring/dashboard.json"
    )
    for panel in json.loads(written)["panels"]:
        (target,) = panel["targets"]
        ((name, _),) = SELECTED.findall(target["expr"])
        metric = KNOWN.get(name.removesuffix("_bucket"))
        assert metric is not None, name
        assert name.endswith("_bucket") == (metric.kind == "histogram")
        shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        grouped = {one for named in GROUPING.findall(target["expr"]) for one in named.split(", ")}
        assert shown | (grouped - {"le"}) <= {*metric.labels, *TARGET_LABELS}
        assert not grouped or shown <= grouped


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alarm_names_metrics_and_labels_that_exist_and_where_its_remedy_is(
    rule: dict[str, dict[str, str]],
) -> None:
    expression = str(rule["expr"])
    named = SELECTED.findall(expression)
    assert named
    labels = set(TARGET_LABELS)
    for name, matchers in named:
        assert name in KNOWN, name
        labels.update(KNOWN[name].labels)
        used = {matcher.split("=")[0].strip("!~ ") for matcher in matchers.split(",") if matcher}
        assert used <= set(KNOWN[name].labels), name
    told = "".join(rule["annotations"].values())
    grouped = {name.strip() for names in GROUPING.findall(expression) for name in names.split(",")}
    assert grouped - {""} <= labels
    assert set(re.findall(r"\$labels\.(\w+)", told)) <= labels
    path, _, heading = rule["annotations"]["runbook_url"].partition("#")
    assert heading == str(rule["alert"]).lower()
    headings = re.findall(r"^## (.+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    assert heading in {title.lower().replace(" ", "-") for title in headings}


def test_every_alarm_rings_on_its_condition_and_not_before() -> None:
    promtool = subprocess.run(
        [ROOT / ".ci" / "promtool"], check=True, capture_output=True, text=True
    ).stdout.strip()
    conditions = ROOT / "deploy/monitoring/alerts.test.yml"
    done = subprocess.run(
        [promtool, "test", "rules", conditions], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tried: set[str] = set()
    for test in yaml.safe_load(conditions.read_text(encoding="utf-8"))["tests"]:
        cases = test["alert_rule_test"]
        rung = {case["alertname"] for case in cases if case["exp_alerts"]}
        assert rung <= {case["alertname"] for case in cases if not case["exp_alerts"]}

        tried |= rung
    assert tried == {str(rule["alert"]) for rule in RULES}


def test_the_accounting_alarm_fires_for_a_shard_that_does_not_add_up(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog[:50])
    followed.follow()
    assert firing(followed) == set()
    # No worker of kae's appends this: its counts are looked at before.
    state = followed.index.logs[1]
    delta = Delta(
        epoch=state.epoch,
        version=state.version + 1,
        previous=state.hash,
        part=0,
        parts=1,
        at_ms=followed.tick(),
        source=SourceRange(99),
        counts=Counts(read=3, put=1, stale=1),
        edits=(),
    )
    followed.logs[1].append([encode_record(delta)])
    followed.follow()
    assert firing(followed) == {"1"}


def firing(followed: Followed) -> set[str]:
    """The shards for which the accounting alarm's expression holds, of what a replica tells."""
    meters = MetricRegistry("replica")
    readings = ReplicaReadings("r", followed.index, FreshnessGauge(5))
    meters.collect_from(lambda: readings.samples(0))
    expression = next(str(r["expr"]) for r in RULES if r["alert"] == "KaeAccountingBroken")
    found = set()
    for alternative in expression.split(" or "):
        compared = COMPARED.match(alternative)
        assert compared is not None, alternative
        name, operator, number = compared.groups()
        assert operator == "=="
        for family in text_string_to_metric_families(meters.text().decode()):
            found |= {
                sample.labels["shard"]
                for sample in family.samples
                if sample.name == name and sample.value == float(number)
            }
    return found
