"""The values of the Helm chart for a topology: its file for the pods, topics, users and rights.

The chart has no rules about topics or rights; they come from `plan_topics` and `plan_acls`.
"""

from pathlib import PurePosixPath
from typing import Any

import yaml

from kae.streams.kafka.acls import Acl, KafkaRole, plan_acls
from kae.streams.kafka.topic_plan import plan_topics
from kae.streams.topology.types import Topology

# Where the chart mounts these files.
CA_FILE = PurePosixPath("/etc/kae/cluster-ca/ca.crt")
PASSWORD_FILE = PurePosixPath("/etc/kae/user/password")


def helm_values(topology: Topology, cluster: str) -> dict[str, Any]:
    """Values for the chart, for the Strimzi cluster of this name."""
    in_pods = _for_pods(topology, cluster)
    return {
        "topology": yaml.safe_dump(in_pods.model_dump(mode="json"), sort_keys=False),
        "generation": topology.generation,
        "shards": topology.shards,
        "topics": [
            {
                "name": plan.name,
                "partitions": plan.partitions,
                "replication": plan.replication,
                "settings": plan.settings,
            }
            for plan in plan_topics(topology)
        ],
        "users": [
            {
                "role": str(role),
                "acls": [_rule(acl) for acl in plan_acls(topology) if acl.role is role],
            }
            for role in KafkaRole
        ],
        "kafka": {"cluster": cluster},
    }


def _for_pods(topology: Topology, cluster: str) -> Topology:
    """The topology with the brokers, files and user that Strimzi gives to a pod."""
    return topology.edited(
        {
            "kafka.bootstrap": f"{cluster}-kafka-bootstrap:9093",
            "kafka.security": {
                "protocol": "SASL_SSL",
                "ca_file": str(CA_FILE),
                "cert_file": None,
                "key_file": None,
                "mechanism": "SCRAM-SHA-512",
                "username": "env:KAE_KAFKA_USERNAME",
                "password": f"file:{PASSWORD_FILE}",
            },
            "worker.listen": "0.0.0.0:8766",
            "replica.listen": "0.0.0.0:8765",
            "stores.path": "/data",
        }
    )


def _rule(acl: Acl) -> dict[str, Any]:
    resource: dict[str, str] = {"type": acl.resource}
    if acl.resource != "cluster":  # Strimzi has one cluster resource, without a name
        resource |= {"name": acl.name, "patternType": "literal"}
    return {"resource": resource, "operations": list(acl.operations)}
