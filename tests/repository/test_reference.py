"""The generated reference is up to date."""

import re
from pathlib import Path

import pytest
from docs.generate.pages import PAGES

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_reference_is_up_to_date(name: str) -> None:
    written = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), "python -m docs.generate docs/reference"


def test_every_page_of_the_reference_is_generated() -> None:
    assert {page.name for page in (DOCS / "reference").iterdir()} == PAGES.keys()


def test_the_python_page_has_what_the_worked_examples_use() -> None:
    examples = (DOCS / "decoding.md").read_text(encoding="utf-8")
    page = PAGES["python.md"]()
    used = re.findall(r"^from (kae\.[\w.]+) import (\w+)$", examples, re.MULTILINE)
    assert used
    assert [
        f"## {module}.{name}" for module, name in used if f"## {module}.{name}" not in page
    ] == []
