"""The paths in the documents exist, and their worked example is correct."""

import re
from pathlib import Path

import msgspec

from kae.sinks.log.edits import (
    GENESIS,
    Counts,
    Delta,
    DropItem,
    SourceRange,
    chain,
    digest,
    encode_edit,
    encode_record,
)

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
FOLDERS = r"(?:encoders|sinks|streams|deploy|tests|docs|\.ci)"
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
NAMED = re.compile(rf"`({FOLDERS}/[\w./-]+|[\w-]+\.(?:yaml|toml|txt|md))`")


def missing(document: str, folder: Path) -> list[str]:
    """The paths that a document links to or names and that do not exist."""
    linked = [path for path in LINK.findall(document) if not (folder / path).exists()]
    return linked + [
        path
        for path in NAMED.findall(document)
        if not ((ROOT / path).exists() or any(ROOT.rglob(path)))
    ]


def test_a_path_that_does_not_exist_is_found() -> None:
    text = "see [here](nowhere.md), `sinks/nothing.py`, `topology.yaml` and `sinks/log/fold.py`"
    assert missing(text, ROOT) == ["nowhere.md", "sinks/nothing.py"]


def test_every_path_that_the_documents_name_exists() -> None:
    assert DOCUMENTS
    broken = {
        str(document.relative_to(ROOT)): found
        for document in DOCUMENTS
        if (found := missing(document.read_text(encoding="utf-8"), document.parent))
    }
    assert broken == {}


def test_the_worked_example_of_the_formats_is_what_the_code_writes() -> None:
    drop = msgspec.Raw(encode_edit(DropItem("a", -1, 7, bytes(8))))
    counts = Counts(read=1, dropped=1)
    record = encode_record(Delta(1, 1, GENESIS, 0, 1, 0, SourceRange(1, 0), counts, (drop,)))
    text = re.sub(r"\s+", "", (ROOT / "docs" / "formats.md").read_text(encoding="utf-8"))
    assert record.hex() in text
    assert chain(GENESIS, digest(record)).hex() in text
