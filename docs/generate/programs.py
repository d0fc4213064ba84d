"""The page of the Python API, read from the source: some of it cannot be imported without torch."""

import ast
from dataclasses import dataclass
from pathlib import Path

from docs.generate.markdown import MADE

ROOT = Path(__file__).resolve().parents[2]
HEAD = f"""# Python

{MADE}
The public Python API. Everything else may change in any release. `docs/decoding.md` shows these
classes in use.
"""


@dataclass(frozen=True, slots=True)
class Public:
    """A class of the public API."""

    module: str  # below kae
    name: str


PUBLIC = (
    Public("streams.replica.embedded", "Replica"),
    Public("streams.replica.shared_views", "SharedViews"),
    Public("streams.replica.decode", "Constraint"),
    Public("streams.replica.decode", "Decode"),
    Public("streams.replica.generate", "LiveIdentifiers"),
    Public("encoders.codebook.tokens", "TokenLayout"),
)


def programs_page() -> str:
    """The content of the page."""
    return "\n".join([HEAD, *(_class(each) for each in PUBLIC)])


def _class(public: Public) -> str:
    path = ROOT.joinpath(*public.module.split(".")).with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (found,) = (
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == public.name
    )
    sections = [f"## kae.{public.module}.{public.name}\n", _doc(found)]
    for node in found.body:
        if isinstance(node, ast.FunctionDef) and _is_public(node):
            sections.append(f"### {_signature(public.name, node)}\n")
            sections.append(_doc(node))
    return "\n".join(sections)


def _is_public(node: ast.FunctionDef) -> bool:
    documented = ast.get_docstring(node) is not None
    return documented and (not node.name.startswith("_") or node.name == "__call__")


def _signature(owner: str, node: ast.FunctionDef) -> str:
    decorators = {ast.unparse(each) for each in node.decorator_list}
    if decorators & {"property", "cached_property"}:
        return f"`{owner}.{node.name}`"
    arguments = ast.unparse(node.args).removeprefix("self, ").removeprefix("cls, ")
    arguments = "" if arguments in ("self", "cls") else arguments
    return f"`{owner}.{node.name}({arguments})`"


def _doc(node: ast.ClassDef | ast.FunctionDef) -> str:
    return f"{ast.get_docstring(node) or ''}\n"
