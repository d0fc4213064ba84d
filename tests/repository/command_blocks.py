"""The blocks of commands in the documents, and what they say of themselves.

A block of `console` is a shell: a line that begins with `$ ` is typed (and goes on in the next
after a backslash), any other is what the command prints, with `...` for what differs. Above it
stands

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
    """One command, and what it prints."""

    command: str
    shown: str

    def is_shown_by(self, printed: str) -> bool:
        """Whether that is what the document shows, if it shows anything."""
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
            raise ValueError(f"{self}: {first!r} stands before the first command")
        parted = [one.partition("\n") for one in typed]
        return [Step(command, shown) for command, _, shown in parted]


def blocks(document: Path) -> list[Block]:
    """All fenced blocks, in order."""
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
