"""What is answered over HTTP: by replicas, by workers, and by the console."""

import inspect

import msgspec
from docs.generate.markdown import MADE, table

from kae.streams.console.api import OPERATIONS
from kae.streams.replica import http as replica_http
from kae.streams.replica_api import answers
from kae.streams.worker import http as worker_http

HEAD = f"""# HTTP

{MADE}"""


def faces_page() -> str:
    """The page as it has to be."""
    rows = (
        [f"`{one.method} {one.path}`", one.role.name, one.summary, f"`{one.request.__name__}`"]
        for one in OPERATIONS
    )
    return "\n".join(
        [
            HEAD,
            "## Replicas\n",
            _docstring(replica_http.__doc__),
            "### What they answer\n",
            *(_struct(each) for each in _structs()),
            "## Workers\n",
            _docstring(worker_http.__doc__),
            "## The console\n",
            "`GET /api/openapi.json` describes each as OpenAPI 3.1 (docs/console.md).\n",
            table(["operation", "role", "", "asks"], rows),
        ]
    )


def _docstring(text: str | None) -> str:
    return f"```text\n{inspect.cleandoc(text or '')}\n```\n"


def _structs() -> list[type[msgspec.Struct]]:
    return [
        each
        for each in vars(answers).values()
        if isinstance(each, type)
        and issubclass(each, msgspec.Struct)
        and each.__module__ == answers.__name__
    ]


def _struct(struct: type[msgspec.Struct]) -> str:
    described = msgspec.json.schema_components([struct], ref_template="{name}")[1]
    said = struct.__doc__ if struct.__doc__ and "(" not in struct.__doc__.split()[0] else ""
    fields = ", ".join(f"`{name}`" for name in described[struct.__name__]["properties"])
    return f"**{struct.__name__}**: {fields}. {' '.join(said.split())}".rstrip() + "\n"
