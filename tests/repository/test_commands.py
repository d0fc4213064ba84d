"""The commands and options in the documents exist."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from jsonschema import Draft202012Validator
from tests.repository.command_blocks import Block, blocks
from typer.core import TyperGroup
from typer.exceptions import TyperException

from kae.streams.cli.main import app
from kae.streams.topology.types import REFERENCE

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]
LANGUAGES = {"console", "json", "mermaid", "python", "text", "yaml", "{toctree}"}
CONSOLES = [block for block in BLOCKS if block.language == "console"]
EVENTS = [block for block in BLOCKS if block.language == "json"]
TOPOLOGIES = [block for block in BLOCKS if block.language == "yaml"]
ROOT_COMMAND: Any = typer.main.get_command(app)
THIS_FILE = "tests/repository/test_commands.py"
SPAN = re.compile(r"`(kae [^`]+)`")
RUN_BY = re.compile(r"run by (tests/[\w/]+\.py)(?:$|,)")
NOT_RUN = re.compile(r"not run here: \w.*")
ENDS_A_COMMAND = {"|", "||", "&&", ";", ">", ">>", "<"}


def kae_commands(line: str) -> Iterator[list[str]]:
    """The arguments of each `kae` in a line of a shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in ENDS_A_COMMAND:
            words.append(word)
            continue
        while words and re.match(r"[A-Z_]+=", words[0]):
            words.pop(0)
        if words and words[0].rpartition("/")[2] == "kae":
            yield words[1:]
        words = []


def parse(arguments: list[str]) -> None:
    """Parse arguments as the command line does, without running the command.

    Raises: TyperException.
    """
    command: Any = ROOT_COMMAND
    context = command.make_context("kae", list(arguments))
    while isinstance(command, TyperGroup):
        left = [*context._protected_args, *context.args]
        name, command, left = command.resolve_command(context, left)
        context = command.make_context(name, left, parent=context)


def unknown(span: str) -> list[str]:
    """The verbs and options of `kae noun verb --option` in running text that do not exist."""
    words = shlex.split(span)[1:]
    command: Any = ROOT_COMMAND
    context = typer.Context(command)
    while words and isinstance(command, TyperGroup) and re.match(r"[a-z]", words[0]):
        verbs = words.pop(0).split("|")
        if missing := [verb for verb in verbs if command.get_command(context, verb) is None]:
            return missing
        _, command, _ = command.resolve_command(context, verbs[:1])
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    passed_on = command.context_settings.get("ignore_unknown_options", False)
    options = [word.split("=")[0] for word in words if word.startswith("--")]
    return [] if passed_on else [one for one in options if one not in {*known, "--help"}]


@pytest.mark.parametrize(
    ("line", "commands"),
    [
        ("kae status  # how it stands", [["status"]]),
        (
            "A=1 .venv/bin/kae item list | jq . > x && kae log verify",
            [["item", "list"], ["log", "verify"]],
        ),
        (
            "kae term bind x --where 'brand = \"hp\"'",
            [["term", "bind", "x", "--where", 'brand = "hp"']],
        ),
    ],
)
def test_the_commands_of_a_line_are_found(line: str, commands: list[list[str]]) -> None:
    assert list(kae_commands(line)) == commands


@pytest.mark.parametrize("wrong", ["term show x", "term bind x --wehre y", "log verify --json 3"])
def test_an_unknown_command_is_found(wrong: str) -> None:
    with pytest.raises(TyperException):
        parse(wrong.split())


def test_an_unknown_command_is_found_in_running_text() -> None:
    assert unknown("kae term show") == ["show"]
    assert unknown("kae term bind WORD --wehre EXPR") == ["--wehre"]
    assert unknown("kae term bind WORD --where EXPR --no-wait") == []


@pytest.mark.parametrize("block", CONSOLES, ids=str)
def test_a_block_names_its_test_and_its_commands_exist(block: Block) -> None:
    if named := RUN_BY.match(block.label):
        test = (ROOT / named[1]).read_text(encoding="utf-8")
        assert named[1] == THIS_FILE or block.document.name in test
    else:
        assert NOT_RUN.fullmatch(block.label), (
            f"{block} names neither the test that runs it nor a reason why none does"
        )
    for step in block.steps:
        for arguments in kae_commands(step.command):
            parse(arguments)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_commands_in_running_text_exist(document: Path) -> None:
    spans = SPAN.findall(document.read_text(encoding="utf-8").replace("\n", " "))
    assert {span: found for span in spans if (found := unknown(span))} == {}


@pytest.mark.parametrize("block", [one for one in CONSOLES if THIS_FILE in one.label], ids=str)
def test_a_block_without_requirements_runs_in_an_empty_folder(block: Block, tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for step in block.steps:
        done = subprocess.run(
            ["sh", "-euc", step.command],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{step.command}\n{done.stdout}{done.stderr}"
        assert step.is_shown_by(done.stdout), f"{step.command}\n{done.stdout}"


def test_blocks_are_in_known_languages() -> None:
    assert {block.language for block in BLOCKS} <= LANGUAGES


def problems(part: str) -> list[str]:
    """Errors of the published schema for the reference topology with a part replaced."""
    topology = overlaid(yaml.safe_load(REFERENCE.read_text(encoding="utf-8")), yaml.safe_load(part))
    return [error.message for error in published("topology").iter_errors(topology)]


def overlaid(whole: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: overlaid(whole[key], value)
        if isinstance(value, dict) and isinstance(whole.get(key), dict)
        else value
        for key, value in part.items()
    }
    return {**whole, **both}


def published(name: str) -> Draft202012Validator:
    schema = json.loads((ROOT / f"docs/contracts/{name}.schema.json").read_text(encoding="utf-8"))
    return Draft202012Validator(schema)


@pytest.mark.parametrize("block", EVENTS, ids=str)
def test_a_block_of_json_is_a_valid_event_of_its_type(block: Block) -> None:
    event = json.loads(block.text)
    published(event["type"]).validate(event)


@pytest.mark.parametrize("block", TOPOLOGIES, ids=str)
def test_a_block_of_yaml_is_a_valid_part_of_topology_yaml(block: Block) -> None:
    assert problems(block.text) == []


def test_an_invalid_part_of_a_topology_is_found() -> None:
    assert problems("kafka: {security: {protocol: TLS}}")
    assert problems("replica: {listens: 1}")
