"""The schema of topology.yaml: what an editor tells before kae is asked."""

from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
import yaml
from tests.streams.committed import CONTRACTS, Document, committed

from kae.streams.topology.types import REFERENCE


def reference_with(change: Callable[[Any], object]) -> Document:
    data: Document = yaml.safe_load(REFERENCE.read_text(encoding="utf-8"))
    change(data)
    return data


def test_the_reference_topology_is_valid_and_names_its_schema() -> None:
    schema = jsonschema.Draft202012Validator(committed("topology"))
    schema.validate(reference_with(lambda _: None))
    first = REFERENCE.read_text(encoding="utf-8").splitlines()[0]
    path = first.removeprefix("# yaml-language-server: $schema=")
    assert (REFERENCE.parent / path).resolve() == CONTRACTS / "topology.schema.json"


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.update(shards="eight"),
        lambda t: t.update(shards=0),
        lambda t: t.update(unknown=1),
        lambda t: t.pop("limits"),
        lambda t: t["worker"].update(batch_event=1),
        lambda t: t["catalog"]["fields"].update(brand="brnd"),
        lambda t: t["terms"].update(default_category="things"),
        lambda t: t["groups"].pop(),
        lambda t: t["groups"][0].update(categories=["colour"]),
        lambda t: t["topics"].update(prefix="a b"),
        lambda t: t["limits"].update(delta_bytes=1_000_001),
    ],
)
def test_a_topology_that_is_wrong_in_one_value_is_invalid(change: Callable[[Any], object]) -> None:
    schema = jsonschema.Draft202012Validator(committed("topology"))
    assert not schema.is_valid(reference_with(change))


def test_keys_of_the_topology_carry_the_comments_of_the_reference() -> None:
    schema = committed("topology")
    assert schema["properties"]["shards"]["description"].startswith("Partitions of the items topic")
    beam = schema["$defs"]["ReplicaPart"]["properties"]["beam"]
    assert beam["description"] == "identifiers kept per step of a search"
    retention = schema["$defs"]["BehavioursPart"]["properties"]["retention_hours"]
    assert retention["description"] == "how long a behaviour event is kept"
