"""topology.yaml: read once, checked as a whole, every problem by its line."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from kae.deploy.processes import kae_command
from kae.encoders.categories import CATEGORIES
from kae.streams.cli.topology import mermaid
from kae.streams.kafka.topic_plan import plan_topics
from kae.streams.topology.problems import TopologyInvalid
from kae.streams.topology.types import REFERENCE, Topology


def problems(tmp_path: Path, old: str, new: str) -> str:
    """What is said of the reference with one text replaced."""
    text = REFERENCE.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(TopologyInvalid) as refused:
        Topology.load(path)
    return str(refused.value)


def line_of(text: str) -> int:
    lines = REFERENCE.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_the_reference_is_valid_and_names_every_topic() -> None:
    topology = Topology.load()
    assert topology.deltas_topic == "kae.g1.deltas"
    assert sorted(c for group in topology.groups for c in group.categories) == sorted(CATEGORIES)
    assert set(topology.catalog.fields.values()) <= set(CATEGORIES)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("shards: 8\n", "shards: eight\n", "shards"),
        ("shards: 8\n", "shards: 0\n", "shards"),
        ("  batch_events: 1024", "  batch_event: 1024", "worker.batch_event"),
        ("heartbeat_seconds: 2 ", "heartbeat_seconds: 5 ", "worker.session_timeout_seconds"),
        ("brand: brand", "brand: brnd", "catalog.fields.brand"),
        ("default_category: entity ", "default_category: things ", "terms.default_category"),
        ("categories: [marketing, color]", "categories: [marketing, brand]", "color"),
        (", capacity: 1024, reserved: 256", ", capacity: 256, reserved: 256", "groups"),
        ('listen: "127.0.0.1:8765"', 'listen: "8765"', "replica.listen"),
        ("protocol: PLAINTEXT ", "protocol: SASL_SSL ", "kafka.security.mechanism is missing"),
        ("ca_file: null ", "ca_file: ca.pem ", "which PLAINTEXT does not use"),
        ("cert_file: null ", "cert_file: c.pem ", "kafka.security.key_file is missing"),
    ],
)
def test_a_problem_names_file_line_key_and_value(
    old: str, new: str, named: str, tmp_path: Path
) -> None:
    said = problems(tmp_path, old, new)
    assert named in said
    assert "mine.yaml:" in said


def test_a_problem_is_found_at_its_line(tmp_path: Path) -> None:
    said = problems(tmp_path, "session_timeout_seconds: 6 ", "session_timeout_seconds: soon ")
    assert f"mine.yaml:{line_of('session_timeout_seconds')}" in said
    assert "worker.session_timeout_seconds" in said
    assert "soon" in said


def test_several_problems_are_all_told(tmp_path: Path) -> None:
    said = problems(tmp_path, "generation: 1\n", "generation: 0\nunknown: 1\n")
    assert len(said.splitlines()) == 2


@pytest.mark.parametrize("written", ["hunter2", "{secret: hunter2}", "[hunter2]"])
def test_a_password_in_the_file_is_refused_and_not_repeated(written: str, tmp_path: Path) -> None:
    said = problems(tmp_path, "password: null  ", f"password: {written}  ")
    assert "kafka.security.password" in said
    assert "in the reference topology.yaml" in said
    assert "hunter2" not in said


def test_a_password_in_the_address_of_snapshots_is_refused_and_not_repeated(tmp_path: Path) -> None:
    said = problems(tmp_path, "url: null  ", "url: s3://key:hunter2@bucket/path  ")
    assert "snapshots.url" in said
    assert "no name or password" in said
    assert "hunter2" not in said


def test_broken_yaml_and_missing_files_are_errors_too(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("shards: [8\n")
    for path in (broken, tmp_path / "nowhere.yaml"):
        with pytest.raises(TopologyInvalid, match=path.name):
            Topology.load(path)


def test_the_flowchart_names_every_topic_with_its_partitions() -> None:
    topology = Topology.load().edited({"topics.prefix": "shop", "shards": 3, "generation": 7})
    drawn = mermaid(topology)
    for topic in plan_topics(topology):
        unit = "partition" if topic.partitions == 1 else "partitions"
        assert f'[/"{topic.name}<br/>{topic.partitions} {unit}"/]' in drawn
    for part in ("worker", "registrar", "stores", "replica", "samples"):
        assert f"{part}[" in drawn
        assert re.search(rf"(--> |\| ){part}\b", drawn), f"nothing leads to {part}"


def test_the_flowchart_has_no_edge_to_what_it_does_not_declare() -> None:
    lines = [line.strip() for line in mermaid(Topology.load()).splitlines()]
    declared = {found[1] for line in lines if (found := re.match(r"(\w+)[\[(]", line))}
    edges = [line for line in lines if "-->" in line]
    ends = {end for edge in edges for end in re.split(r"\s*-->(?:\|[^|]*\|)?\s*|\s*&\s*", edge)}
    assert ends == declared


def test_the_command_prints_the_flowchart_alone() -> None:
    command = kae_command("topology", "show", "--mermaid", "--topology", str(REFERENCE))
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert shown == mermaid(Topology.load())
    both = subprocess.run([*command, "--json"], check=True, capture_output=True).stdout
    assert json.loads(both)["mermaid"] == shown


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("stall_seconds: 60 ", "stall_seconds: .inf ", "worker.stall_seconds"),
        ("stall_seconds: 60 ", "stall_seconds: 1.0e+300 ", "worker.stall_seconds"),
        ("batch_events: 1024 ", "batch_events: 99999999999 ", "worker.batch_events"),
        ("generation: 1\n", "generation: 1\ngeneration: 2\n", "generation is given twice"),
        ("generation: 1\n", "generation: 2026-13-45\n", "month must be in 1..12; quote it"),
        ("shards: 8\n", "shards: 8\nself: &self [*self]\n", "an anchor holds itself"),
        ("mapped_percent: 10 ", "mapped_percent: 101 ", "limits.mapped_percent"),
        ("separator: null ", 'separator: "" ', "catalog.separator"),
        ("allowed_fields: null", "allowed_fields: [type]", "catalog.fields.brand"),
    ],
)
def test_values_out_of_bounds_and_yaml_that_leads_nowhere_are_told(
    old: str, new: str, named: str, tmp_path: Path
) -> None:
    assert named in problems(tmp_path, old, new)


@pytest.mark.parametrize("text", ["", "[]", "7", "a: b", "- 1", "{1: 2}", "\ufffe", "!!x y"])
def test_a_document_that_is_no_topology_is_told(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TopologyInvalid, match=r"mine\.yaml"):
        Topology.load(path)


def test_anchors_that_multiply_are_refused_in_time(tmp_path: Path) -> None:
    lines = ["a0: &a0 {x: 1, y: 1}"]
    lines += [f"a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}}}" for n in range(1, 64)]
    path = tmp_path / "mine.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(TopologyInvalid, match="more than 100000 keys"):
        Topology.load(path)


def test_letters_are_kept_as_texts_have_them(tmp_path: Path) -> None:
    assert Topology.load().search_form.kept == ""
    kept = Topology.load().edited({"folding.keep": {"sv": "Åäö", "ru": "Ё"}})
    assert kept.search_form.kept == "äåöё"
    written = kept.write(tmp_path / "topology.yaml")
    assert written.search_form == kept.search_form
