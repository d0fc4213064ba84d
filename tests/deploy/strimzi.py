"""What Strimzi's objects may hold, as far as the chart uses them; nothing beside it is let through.

Strimzi publishes no schemas as a package; this follows the custom resources of version v1.
"""

from typing import Any

import jsonschema

OPERATIONS = ["Read", "Write", "Create", "Delete", "Alter", "Describe", "AlterConfigs"]
OPERATIONS += ["DescribeConfigs", "IdempotentWrite", "ClusterAction", "All"]
TEXT, COUNT = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 1}


def closed(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": {**required, **optional},
    }


ACL = closed(
    {
        "resource": closed(
            {"type": {"enum": ["topic", "group", "cluster"]}},
            name=TEXT,
            patternType={"enum": ["literal", "prefix"]},
        ),
        "operations": {"type": "array", "minItems": 1, "items": {"enum": OPERATIONS}},
    }
)
LISTENER = closed(
    {
        "name": {"type": "string", "pattern": "^[a-z0-9]{1,11}$"},
        "port": {"type": "integer", "minimum": 9092},
        "type": {"enum": ["internal", "route", "loadbalancer", "nodeport", "ingress"]},
        "tls": {"const": True},
        "authentication": closed({"type": {"enum": ["tls", "scram-sha-512"]}}),
    }
)
SPECS = {
    "KafkaTopic": closed(
        {
            "topicName": TEXT,
            "partitions": COUNT,
            "replicas": {"type": "integer", "minimum": 1, "maximum": 32767},
            "config": {"type": "object"},
        }
    ),
    "KafkaUser": closed(
        {
            "authentication": closed({"type": {"enum": ["tls", "tls-external", "scram-sha-512"]}}),
            "authorization": closed(
                {"type": {"const": "simple"}, "acls": {"type": "array", "items": ACL}}
            ),
        }
    ),
    "KafkaNodePool": closed(
        {
            "replicas": COUNT,
            "roles": {"type": "array", "items": {"enum": ["controller", "broker"]}},
            "resources": {"type": "object"},
            "storage": closed(
                {
                    "type": {"const": "jbod"},
                    "volumes": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["id", "type", "size"],
                            "properties": {"kraftMetadata": {"const": "shared"}},
                        },
                    },
                }
            ),
        }
    ),
    "Kafka": closed(
        {
            "kafka": closed(
                {
                    "version": TEXT,
                    "listeners": {"type": "array", "minItems": 1, "items": LISTENER},
                    "authorization": closed({"type": {"const": "simple"}}),
                    "config": {"type": "object"},
                }
            ),
            "entityOperator": closed(
                {"topicOperator": {"type": "object"}, "userOperator": {"type": "object"}}
            ),
        }
    ),
}


def validate(manifest: dict[str, Any]) -> None:
    """Raises: jsonschema.ValidationError."""
    schema = closed(
        {
            "apiVersion": {"const": "kafka.strimzi.io/v1"},
            "kind": {"const": manifest["kind"]},
            "metadata": {"type": "object", "required": ["name", "labels"]},
            "spec": SPECS[manifest["kind"]],
        }
    )
    jsonschema.validate(manifest, schema)
    if manifest["kind"] != "Kafka":
        assert "strimzi.io/cluster" in manifest["metadata"]["labels"]
