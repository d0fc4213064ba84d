"""The OpenAPI document of the console's API, made from its table of operations."""

from importlib.metadata import version
from typing import Any

import msgspec

from kae.streams.console.api import OPERATIONS, ApiOperation
from kae.streams.console.guard import COOKIE, CSRF_HEADER
from kae.streams.replica_api.answers import Problem

Json = dict[str, Any]
# Errors that every operation may answer with.
PROBLEMS = {
    "400": "The request cannot be parsed.",
    "401": "Not signed in.",
    "403": "The role is not sufficient, or a page of another site sent the request.",
    "404": "Not found.",
    "410": "Deleted by retention.",
    "413": "The body is too long.",
    "415": "The content type is not application/json.",
    "421": "The console answers only to loopback host names.",
    "422": "The request is not valid; `error` says where.",
    "502": "The replica cannot answer.",
    "503": "The replica or the brokers do not answer.",
}


def openapi() -> Json:
    """OpenAPI 3.1."""
    kinds = [Problem, *(kind for one in OPERATIONS for kind in (one.request, one.response))]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    problem, pairs = schemas[0], list(zip(schemas[1::2], schemas[2::2], strict=True))
    paths: Json = {}
    for one, (request, response) in zip(OPERATIONS, pairs, strict=True):
        request_schema = components[one.request.__name__]
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(
            one, request, request_schema, response, problem
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


def _operation(
    one: ApiOperation, request: Json, request_schema: Json, response: Json, problem: Json
) -> Json:
    operation: Json = {
        "operationId": one.name,
        "summary": one.summary,
        "description": f"Needs the role {one.role.name} if users are configured.",
        "responses": {
            str(one.status): {"description": "Success.", "content": _json(response)},
            **{
                status: {"description": why, "content": _json(problem)}
                for status, why in PROBLEMS.items()
            },
        },
    }
    if one.method == "POST":
        operation["requestBody"] = {"required": True, "content": _json(request)}
        operation["parameters"] = [
            {
                "name": CSRF_HEADER,
                "in": "header",
                "required": False,
                "description": "The session's CSRF token, from any of its pages; "
                "required if users are configured.",
                "schema": {"type": "string"},
            }
        ]
        return operation
    required = request_schema.get("required", [])
    operation["parameters"] = [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in request_schema["properties"].items()
    ]
    return operation


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}
