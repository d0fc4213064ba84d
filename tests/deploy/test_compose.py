"""compose.yaml: its parts exist, and its processes, started here as it says, work together."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.deploy.images import IMAGES, ROOT
from tests.fetching import fetch
from tests.live.storm import wait_for

from kae.deploy.brokers import ApacheKafka, free_port
from kae.deploy.processes import Process, answers, kae_command
from kae.streams.topology.types import Topology

FOLDER = ROOT / "deploy" / "compose"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
PROMETHEUS: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))


class Composed:
    """The services of kae's own, as processes on loopback: names of hosts become ports here."""

    def __init__(self, folder: Path, kafka: ApacheKafka) -> None:
        topology = Topology.load().edited({"topics.prefix": folder.name})
        self._topology = topology.write(folder / "topology.yaml").path
        self._folder = folder
        self._kafka = kafka
        self.ports = {name: free_port() for name in OURS}
        self.processes = {name: self._process(name, service) for name, service in OURS.items()}

    def _process(self, name: str, service: dict[str, Any]) -> Process:
        command = (*IMAGES[service["build"]["target"]].entrypoint, *service["command"])
        data = self._folder / name
        data.mkdir()
        here = [
            re.sub(r"^0\.0\.0\.0:\d+$", f"127.0.0.1:{self.ports[name]}", word)
            .replace("kafka:9092", self._kafka.bootstrap)
            .replace("/data", str(data))
            for word in command[1:]
        ]
        environment = {"KAE_TOPOLOGY": str(self._topology)}
        return Process(name, kae_command(*here), self._folder / f"{name}.log", environment, data)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()


@pytest.fixture
def composed(tmp_path: Path, kafka: ApacheKafka) -> Iterator[Composed]:
    running = Composed(tmp_path, kafka)
    yield running
    running.stop()


def test_what_compose_starts_works_together_and_is_scraped(composed: Composed) -> None:
    assert composed.processes["topics"].start().wait(60) == 0
    healthy = {}
    for name in sorted(OURS.keys() - {"topics"}):
        composed.processes[name].start()
        (path,) = re.findall(r"127\.0\.0\.1:\d+(/\w+)", SERVICES[name]["healthcheck"]["test"][-1])
        healthy[name] = answers(composed.url(name) + path)
    assert len(healthy) == 4
    for name, ready in healthy.items():
        composed.processes[name].wait_ready(ready, 60)
    for scraped in PROMETHEUS["scrape_configs"]:
        for target in scraped["static_configs"][0]["targets"]:
            service, _, port = target.partition(":")
            told = fetch(f"{composed.url(service)}/metrics").text
            families = list(text_string_to_metric_families(told))
            assert f"{scraped['job_name'].replace('-', '_')}_ready" in {f.name for f in families}
            role = OURS[service]["build"]["target"]
            assert f":{port}" in " ".join(IMAGES[role].entrypoint)
    # The second worker is ready as soon as it has joined; the first gives half of the shards up.
    wait_for(lambda: owned(composed) == Topology.load().shards, "each shard to have one owner")


def owned(composed: Composed) -> float:
    """How many shards the workers say that they own, in all."""
    return sum(
        family.samples[0].value
        for name in OURS
        if name.startswith("worker")
        for family in text_string_to_metric_families(fetch(f"{composed.url(name)}/metrics").text)
        if family.name == "kae_worker_shards"
    )


def test_every_file_volume_and_service_that_is_named_exists() -> None:
    for name, service in SERVICES.items():
        assert "/" not in service["image"] or "." not in service["image"].split("/")[0]
        assert set(service.get("depends_on", ())) <= set(SERVICES), name
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            known = (FOLDER / source).exists() if "/" in source else source in COMPOSE["volumes"]
            assert known, f"{name}: {source}"
        assert re.match(r"\S+:[\w.]+$", service["image"])
    for service in OURS.values():
        assert (FOLDER / service["build"]["context"]).resolve() == ROOT
        assert service["build"]["target"] in IMAGES
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


def test_nothing_answers_beyond_this_machine() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
