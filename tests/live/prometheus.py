"""A Prometheus of the tests: it scrapes processes and evaluates the alarms that are shipped."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from tests.fetching import fetch
from tests.live.killer import wait_for

from kae.deploy.brokers import free_port
from kae.deploy.processes import Process, answers

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "monitoring" / "alerts.yml"
# In place of minutes and hours: how long an alarm looks back. It waits for nothing.
SPAN = "3s"
EVERY = "250ms"


class Prometheus:
    """Watches the targets, HOST:PORT by job, until the end of the block."""

    def __init__(self, folder: Path, targets: Mapping[str, str]) -> None:
        folder.mkdir()
        (folder / "rules.yml").write_text(hurried(RULES.read_text(encoding="utf-8")))
        scraped = [
            {"job_name": job, "static_configs": [{"targets": [target]}]}
            for job, target in targets.items()
        ]
        settings = {
            "global": {
                "scrape_interval": EVERY,
                "scrape_timeout": EVERY,
                "evaluation_interval": EVERY,
            },
            "rule_files": ["rules.yml"],
            "scrape_configs": scraped,
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
        listen = f"127.0.0.1:{free_port()}"
        self._url = f"http://{listen}"
        program = beside_promtool()
        argv = [
            str(program),
            "--config.file=prometheus.yml",
            # Debian's has one for the whole machine, with what former runs were told.
            "--storage.tsdb.path=data",
            f"--web.listen-address={listen}",
        ]
        self._process = Process("prometheus", argv, folder / "prometheus.log", cwd=folder)

    def firing(self, alarm: str) -> list[dict[str, Any]]:
        """The labels with which an alarm rings."""
        told = fetch(f"{self._url}/api/v1/alerts")
        alerts = told.raise_for_status().json()["data"]["alerts"]
        return [one["labels"] for one in alerts if one["labels"]["alertname"] == alarm]

    def wait_until_it_rings(self, alarm: str) -> None:
        wait_for(lambda: self.firing(alarm), f"{alarm} to ring")

    def wait_until_it_is_over(self, alarm: str) -> None:
        wait_for(lambda: not self.firing(alarm), f"{alarm} to be over")

    def __enter__(self) -> Self:
        self._process.start().wait_ready(answers(f"{self._url}/-/ready"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()


def beside_promtool() -> Path:
    """The server, which comes with promtool."""
    told = subprocess.run(
        [ROOT / ".ci" / "promtool"], check=True, capture_output=True, text=True
    ).stdout
    return Path(told.strip()).with_name("prometheus")


def hurried(rules: str) -> str:
    """The rules with their expressions as they are, and their times cut."""
    whole = yaml.safe_load(rules)
    for rule in [rule for group in whole["groups"] for rule in group["rules"]]:
        rule.pop("for", None)
        rule["expr"] = re.sub(r"\[\d+[smh]\]", f"[{SPAN}]", rule["expr"])
    return yaml.safe_dump(whole)
