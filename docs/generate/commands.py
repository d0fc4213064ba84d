"""The command line: every noun and verb, with its arguments and options."""

from enum import Enum
from pathlib import Path
from typing import Any

import typer
from docs.generate.markdown import MADE, table
from typer.core import TyperArgument, TyperGroup

from kae.streams.cli.main import NOUNS, PLUGIN_SUMMARIES, app

_INSTALLED = Path(__file__).resolve().parents[2] / "src" / "kae"
HEAD = f"""# Command line

{MADE}
`kae NOUN VERB --help` prints the same. `--json` prints one line of JSON, the last line of the
output. Exit codes: 0 on success; 1 on an error, with one line for each problem and its remedy; 2 if
the command line is wrong; 3 if a check finds something out of bounds.
"""


def commands_page() -> str:
    """The content of the page."""
    root: Any = typer.main.get_command(app)
    context = typer.Context(root, info_name="kae")
    sections = []
    for noun in [*(noun.name for noun in NOUNS), *PLUGIN_SUMMARIES]:
        _, command, _ = root.resolve_command(context, [noun])
        sections.append(f"## kae {noun}\n")
        if isinstance(command, TyperGroup):
            inner = typer.Context(command, info_name=noun, parent=context)
            for verb in command.list_commands(inner):
                sections.append(f"### kae {noun} {verb}\n")
                sections.append(_command(command.get_command(inner, verb), f"kae {noun} {verb}"))
        else:
            sections.append(_command(command, f"kae {noun}"))
    return "\n".join([HEAD, *sections])


def _command(command: Any, name: str) -> str:
    context = typer.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    lines = [f"{command.help}\n", f"    {usage}\n"]
    given = [param for param in command.params if not param.hidden]
    if given:
        rows = ([_spelled(param), _default(param), param.help or ""] for param in given)
        lines.append(table(["argument or option", "default", "meaning"], rows))
    return "\n".join(lines)


def _spelled(param: Any) -> str:
    if isinstance(param, TyperArgument):
        return f"`{param.metavar or param.name.upper()}`"
    annotation = param.type_descriptor.annotation
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        value = "|".join(str(one.value) for one in annotation)
    else:
        value = param.metavar or ("" if annotation is bool else annotation.__name__.upper())
    names = ", ".join([*param.opts, *param.secondary_opts])
    return f"`{names} {value}`" if value else f"`{names}`"


def _default(param: Any) -> str:
    if param.required:
        return "required"
    shown = getattr(param, "show_default", None)
    if isinstance(shown, str):
        return shown  # stands for a default that differs between machines
    default = param.default.value if isinstance(param.default, Enum) else param.default
    if isinstance(default, Path) and default.is_relative_to(_INSTALLED):
        default = Path("kae") / default.relative_to(_INSTALLED)  # independent of where the clone is
    return "" if default in (None, "", False) else f"`{default}`"
