"""The blocks of commands in the documents, with their labels.

A `console` block is a shell session: a line that begins with `$ ` is typed (and continues after a
backslash), any other is output, with `...` for what varies. A label precedes it:

    <!-- run by tests/FILE -->             that test runs it, word for word
    <!-- not run here: what it needs -->   nothing runs it
"""

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r"^(?:<!-- (?P<label>.*?) -->\n)?```(?P<language>[^`\n]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
CONTINUED = re.compile(r"\\\n\s*")


@dataclass(frozen=True, slots=True)
class Step:
    """One command and its output."""

    command: str
    shown: str

    def is_shown_by(self, printed: str) -> bool:
        """Whether the output matches the document, if the document shows any."""
        lines = "\n".join(line.rstrip() for line in printed.strip().splitlines())
        pattern = re.escape(self.shown.strip()).replace(re.escape("..."), ".*")
        return not self.shown or re.fullmatch(pattern, lines, re.DOTALL) is not None


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a document."""

    document: Path
    line: int
    label: str  # empty if there is none
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"

    @property
    def steps(self) -> list[Step]:
        """The commands of a console block, in order."""
        first, *typed = re.split(r"^\$ ", CONTINUED.sub("", self.text), flags=re.MULTILINE)
        if first.strip():
            raise ValueError(f"{self}: {first!r} precedes the first command")
        parts = [one.partition("\n") for one in typed]
        return [Step(command, shown) for command, _, shown in parts]


def blocks(document: Path) -> list[Block]:
    """All fenced blocks of a document, in order."""
    text = document.read_text(encoding="utf-8")
    return [
        Block(
            document,
            1 + text.count("\n", 0, found.start()),
            found["label"] or "",
            found["language"],
            found["text"],
        )
        for found in FENCE.finditer(text)
    ]
