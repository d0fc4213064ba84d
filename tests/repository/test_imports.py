"""Tests import one way, too: those of encoders and sinks know nothing above them."""

import ast
from pathlib import Path

TESTS = Path(__file__).parents[1]
ABOVE = ("kae.streams", "kae.deploy", "kae.bench", "tests.streams", "tests.live", "tests.brokers")


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_tests_of_encoders_and_sinks_import_nothing_above_them() -> None:
    files = [TESTS / "icecat.py", TESTS / "once.py"]
    for package in ("encoders", "sinks"):
        files += (TESTS / package).glob("*.py")
    assert len(files) > 40
    found = [
        f"{file.relative_to(TESTS)}: {name}"
        for file in files
        for name in imported(file)
        if name.startswith(ABOVE)
    ]
    assert found == []
