"""YAML with the line of each key."""

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

KeyPath = tuple[str | int, ...]
# Anchors can expand a few lines without bound, or nest a value in itself.
_MOST_KEYS = 100_000


class YamlInvalid(ValueError):
    """The text is not YAML, or has a key twice."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Yaml:
    """A YAML document: its data, and the line (from 1) of every key and list entry."""

    data: object
    lines: dict[KeyPath, int]

    def line_of(self, path: KeyPath) -> int:
        """The line of a path, or of its nearest parent in the file."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(text: str) -> Yaml:
    """Read one document.

    Raises: YamlInvalid.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error)
        raise YamlInvalid(mark.line + 1 if mark else 1, str(reason)) from error
    except ValueError as error:
        # A malformed date or number: PyYAML does not say where.
        raise YamlInvalid(1, f"a value cannot be read: {error}; quote it") from error
    try:
        return Yaml(data, _lines(root) if root else {})
    except RecursionError as error:
        raise YamlInvalid(1, "an anchor holds itself") from error


def _lines(root: yaml.Node) -> dict[KeyPath, int]:
    lines: dict[KeyPath, int] = {}
    for path, line in _walk(root, ()):
        if path in lines:
            raise YamlInvalid(line, f"{dotted(path)} is given twice, first on line {lines[path]}")
        if len(lines) == _MOST_KEYS:
            raise YamlInvalid(line, f"there are more than {_MOST_KEYS} keys")
        lines[path] = line
    return lines


def dotted(path: KeyPath) -> str:
    """A path as errors and docs write it: groups[2].capacity."""
    spelled = ""
    for part in path:
        spelled += f"[{part}]" if isinstance(part, int) else f".{part}"
    return spelled.removeprefix(".")


def _walk(node: yaml.Node, path: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inside = (*path, str(key.value))
            yield inside, key.start_mark.line + 1
            yield from _walk(value, inside)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            inside = (*path, index)
            yield inside, value.start_mark.line + 1
            yield from _walk(value, inside)
