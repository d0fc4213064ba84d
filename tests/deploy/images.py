"""The images of deploy/images/Dockerfile, as far as their instructions say."""

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kae.deploy.processes import kae_command

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "images" / "Dockerfile"


@dataclass(frozen=True, slots=True)
class Image:
    """What a target of the Dockerfile starts, and as whom."""

    user: str
    entrypoint: tuple[str, ...]


def _images() -> dict[str, Image]:
    text = re.sub(r"\\\n", " ", DOCKERFILE.read_text(encoding="utf-8"))
    found = {}
    for stage in re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]:
        entrypoint = re.search(r"^ENTRYPOINT (.*)$", stage, re.MULTILINE)
        if entrypoint:
            name = stage.splitlines()[0].split()[-1]
            (user,) = re.findall(r"^USER (.*)$", stage, re.MULTILINE)
            found[name] = Image(user, tuple(json.loads(entrypoint[1])))
    return found


IMAGES = _images()


def accepts(command: Sequence[str]) -> bool:
    """Whether `kae` knows the command and every option of it; nothing of it is carried out."""
    assert command[0] == "kae"
    asked = subprocess.run(
        kae_command(*command[1:], "--help"), capture_output=True, text=True, check=False
    )
    return asked.returncode == 0 and "Usage: kae " in asked.stdout
