"""docs/ARCHITECTURE.md stays short and true, and a public class name means one class."""

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
DRAWING = (ROOT / "docs" / "layers.svg").read_text(encoding="utf-8")
PRODUCT = ("encoders", "sinks", "streams", "deploy/local")
MODULE = re.compile(r"^\d+\. `([\w/]+\.py)`", re.MULTILINE)


def section(title: str) -> str:
    """What stands under a heading of the second level."""
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def listed_modules(title: str) -> list[str]:
    modules = MODULE.findall(section(title))
    assert len(modules) == len(set(modules)), f"{title}: a module is listed twice"
    return modules


def classes() -> dict[str, list[str]]:
    """The public classes of the product, by name, with the modules that define them."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(path for folder in PRODUCT for path in (ROOT / folder).rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(ROOT)))
    return found


def test_an_item_passes_through_at_most_35_modules() -> None:
    modules = listed_modules("The way of an item")
    assert 20 <= len(modules) <= 35
    assert [path for path in modules if not (ROOT / path).is_file()] == []


def test_a_term_passes_through_at_most_30_modules() -> None:
    modules = listed_modules("The way of a term")
    assert 15 <= len(modules) <= 30
    assert [path for path in modules if not (ROOT / path).is_file()] == []


def test_the_table_of_places_has_at_most_25_rows() -> None:
    rows = [line for line in section("Where is ...").splitlines() if line.startswith("| ")]
    assert 10 <= len(rows) - 1 <= 25  # one of them is the head


def test_every_package_of_streams_is_in_the_drawing() -> None:
    packages = {path.parent.name for path in (ROOT / "streams").glob("*/__init__.py")}
    assert packages
    assert {name for name in packages if f">{name}<" not in DRAWING} == set()
    assert "](layers.svg)" in TEXT


def test_a_public_class_name_is_defined_once() -> None:
    found = classes()
    assert found
    assert {name: where for name, where in found.items() if len(where) > 1} == {}
