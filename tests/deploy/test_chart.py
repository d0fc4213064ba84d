"""The Helm chart, rendered by Helm's own engine: what it asks of a cluster is valid and closed."""

from collections import defaultdict
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
import yaml
from tests.deploy import strimzi
from tests.deploy.images import IMAGES, ROOT, accepts

from kae.streams.cli.helm_values import PASSWORD_FILE, helm_values
from kae.streams.kafka.acls import KafkaRole, plan_acls
from kae.streams.kafka.topic_plan import plan_topics
from kae.streams.topology.types import Topology

CHART = ROOT / "deploy" / "helm" / "kae"
# The oldest that Chart.yaml allows, and the newest that there are schemas of.
KUBERNETES = ("1.29", "1.37")
TOPOLOGY = Topology.load().edited({"kafka.replication": 3, "topics.prefix": "shop"})
VALUES: dict[str, Any] = {
    **helm_values(TOPOLOGY, "events"),
    "snapshots": {"prune": "17 3 * * *"},
}

Objects = dict[str, list[dict[str, Any]]]


def render(values: dict[str, Any]) -> Objects:
    """Objects by kind."""
    with helm.Chart.load(str(CHART)) as chart:
        files = chart.render(values, name="one", namespace="shop")
    objects: Objects = defaultdict(list)
    for name, text in files.items():
        if name.endswith(".yaml"):
            for manifest in yaml.safe_load_all(text):
                if manifest is not None:
                    objects[manifest["kind"]].append(manifest)
    return objects


@pytest.fixture(scope="module")
def objects() -> Objects:
    return render(VALUES)


def pods(objects: Objects) -> list[dict[str, Any]]:
    jobs = [job["spec"]["jobTemplate"]["spec"] for job in objects["CronJob"]]
    sets = [each["spec"] for each in objects["StatefulSet"]]
    return [each["template"]["spec"] for each in (*sets, *jobs)]


def test_kubernetes_and_strimzi_take_every_object(objects: Objects) -> None:
    kinds = {"StatefulSet", "Service", "PodDisruptionBudget", "NetworkPolicy", "ConfigMap"}
    assert set(objects) == kinds | {"CronJob", *strimzi.SPECS}
    for kind, manifests in objects.items():
        for manifest in manifests:
            if kind in strimzi.SPECS:
                strimzi.validate(manifest)
                continue
            for version in KUBERNETES:
                kubernetes_validate.validate(manifest, version, strict=True)


def test_topics_and_rights_are_those_that_the_topology_asks_for(objects: Objects) -> None:
    topics = {
        each["spec"]["topicName"]: (each["spec"]["partitions"], each["spec"]["replicas"])
        for each in objects["KafkaTopic"]
    }
    assert topics == {p.name: (p.partitions, p.replication) for p in plan_topics(TOPOLOGY)}
    for user in objects["KafkaUser"]:
        role = KafkaRole(user["metadata"]["name"].removeprefix("one-"))
        given = {
            (acl["resource"].get("name", "kafka-cluster"), tuple(acl["operations"]))
            for acl in user["spec"]["authorization"]["acls"]
        }
        assert given == {(a.name, a.operations) for a in plan_acls(TOPOLOGY) if a.role is role}
    assert len(objects["KafkaUser"]) == len(KafkaRole)


def test_pods_read_the_topology_with_their_own_user(objects: Objects, tmp_path: Any) -> None:
    (config,) = objects["ConfigMap"]
    path = tmp_path / "topology.yaml"
    path.write_text(config["data"]["topology.yaml"], encoding="utf-8")
    inside = Topology.load(path)
    assert inside.kafka.bootstrap == "events-kafka-bootstrap:9093"
    assert inside.kafka.security.password == f"file:{PASSWORD_FILE}"
    users = {user["metadata"]["name"] for user in objects["KafkaUser"]}
    named = set()
    for pod in pods(objects):
        (container,) = pod["containers"]
        environment = {each["name"]: each.get("value") for each in container["env"]}
        (secret,) = (v["secret"]["secretName"] for v in pod["volumes"] if v["name"] == "user")
        assert environment["KAE_KAFKA_USERNAME"] == secret
        named.add(secret)
    assert named == {"one-worker", "one-replica", "one-operator"}
    assert named <= users


def test_pods_are_nobody_special_and_run_what_their_image_takes(objects: Objects) -> None:
    for pod in pods(objects):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert set(container["resources"]) == {"limits", "requests"}
        role = container["image"].removeprefix("kae-").partition(":")[0]
        assert accepts((*IMAGES[role].entrypoint, *container["args"]))
        assert {mount["name"] for mount in container["volumeMounts"]} >= {"topology", "user"}


def test_only_prometheus_and_named_clients_reach_the_http_faces(objects: Objects) -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in objects["NetworkPolicy"]}
    assert set(policies) == {each["metadata"]["name"] for each in objects["StatefulSet"]}
    assert len(policies["one-worker"]["ingress"][0]["from"]) == 1
    clients = policies["one-replica"]["ingress"][0]["from"][1]
    assert clients == {"podSelector": {"matchLabels": {"kae-client": "true"}}}


@pytest.mark.parametrize(
    ("key", "value"),
    [("worker", {"replicas": -1}), ("shards", 0), ("topics", []), ("wroker", {}), ("topology", "")],
)
def test_a_wrong_value_is_refused_before_anything_is_sent(key: str, value: object) -> None:
    with pytest.raises(helm.HelmError):
        render({**VALUES, key: value})


def test_a_cluster_that_is_there_already_is_left_alone() -> None:
    objects = render({**VALUES, "kafka": {"cluster": "events", "create": False}})
    assert "Kafka" not in objects
    assert "KafkaNodePool" not in objects
    assert objects["KafkaTopic"]
