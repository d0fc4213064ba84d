"""The page of HTTP: what replicas, workers and the console answer."""

import inspect

import msgspec
from docs.generate.markdown import MADE, table

from kae.streams.console.api import OPERATIONS
from kae.streams.replica import http as replica_http
from kae.streams.replica_api import answers, status
from kae.streams.worker import http as worker_http

HEAD = f"""# HTTP

{MADE}"""


def http_page() -> str:
    """The content of the page."""
    rows = (
        [f"`{one.method} {one.path}`", one.role.name, one.summary, f"`{one.request.__name__}`"]
        for one in OPERATIONS
    )
    return "\n".join(
        [
            HEAD,
            "## Replicas\n",
            _docstring(replica_http.__doc__),
            "### Answers\n",
            *(_struct(each) for each in _structs()),
            "## Workers\n",
            _docstring(worker_http.__doc__),
            "## The console\n",
            "`GET /api/openapi.json` describes each operation as OpenAPI 3.1 (docs/console.md).\n",
            table(["operation", "role", "", "request"], rows),
        ]
    )


def _docstring(text: str | None) -> str:
    return f"```text\n{inspect.cleandoc(text or '')}\n```\n"


def _structs() -> list[type[msgspec.Struct]]:
    return [
        each
        for module in (answers, status)
        for each in vars(module).values()
        if isinstance(each, type)
        and issubclass(each, msgspec.Struct)
        and each.__module__ == module.__name__
    ]


def _struct(struct: type[msgspec.Struct]) -> str:
    described = msgspec.json.schema_components([struct], ref_template="{name}")[1]
    text = struct.__doc__ if struct.__doc__ and "(" not in struct.__doc__.split()[0] else ""
    fields = ", ".join(f"`{name}`" for name in described[struct.__name__]["properties"])
    return f"**{struct.__name__}**: {fields}. {' '.join(text.split())}".rstrip() + "\n"
