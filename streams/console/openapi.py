"""The OpenAPI document of the console's API, made from its table of operations."""

from importlib.metadata import version
from typing import Any

import msgspec

from kae.streams.console.api import OPERATIONS, ApiOperation
from kae.streams.console.guard import COOKIE, CSRF_HEADER
from kae.streams.replica_api.answers import Problem

Json = dict[str, Any]
# What each operation may answer beside what was asked for.
PROBLEMS = {
    "400": "What came cannot be read.",
    "401": "Nobody is signed in.",
    "403": "The role does not suffice, or another site's page sent it.",
    "404": "There is no such thing.",
    "410": "Retention has taken it.",
    "413": "The body is too long.",
    "415": "The body is no JSON by its type.",
    "421": "The console answers to loopback alone.",
    "422": "What came is not what is asked for; `error` says where.",
    "502": "The replica cannot answer.",
    "503": "The replica or the brokers do not answer.",
}


def openapi() -> Json:
    """OpenAPI 3.1."""
    kinds = [Problem, *(kind for one in OPERATIONS for kind in (one.asks, one.answers))]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    problem, pairs = schemas[0], list(zip(schemas[1::2], schemas[2::2], strict=True))
    paths: Json = {}
    for one, (asks, answers) in zip(OPERATIONS, pairs, strict=True):
        named = components[one.asks.__name__]
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(
            one, asks, named, answers, problem
        )
    return {
        "openapi": "3.1.0",
        "info": {"title": "kae console", "version": version("kae")},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"session": {"type": "apiKey", "in": "cookie", "name": COOKIE}},
        },
        "security": [{}, {"session": []}],
    }


_REF = "#/components/schemas/{name}"


def _operation(one: ApiOperation, asks: Json, named: Json, answers: Json, problem: Json) -> Json:
    described: Json = {
        "operationId": one.name,
        "summary": one.summary,
        "description": f"Needs the role {one.role.name}, where users are configured.",
        "responses": {
            str(one.status): {"description": "As asked.", "content": _json(answers)},
            **{
                status: {"description": why, "content": _json(problem)}
                for status, why in PROBLEMS.items()
            },
        },
    }
    if one.method == "POST":
        described["requestBody"] = {"required": True, "content": _json(asks)}
        described["parameters"] = [
            {
                "name": CSRF_HEADER,
                "in": "header",
                "required": False,
                "description": "The token of the session, as its pages have it; needs users.",
                "schema": {"type": "string"},
            }
        ]
        return described
    required = named.get("required", [])
    described["parameters"] = [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in named["properties"].items()
    ]
    return described


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}
