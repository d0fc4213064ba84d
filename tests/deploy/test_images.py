"""The container files and systemd units say what kae takes, and give away no rights."""

import configparser
import re
import shlex
import subprocess
import sysconfig
from pathlib import Path

import pytest
from tests.deploy.images import DOCKERFILE, IMAGES, ROOT, accepts

HADOLINT = Path(sysconfig.get_path("scripts"), "hadolint")
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run([HADOLINT, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


@pytest.mark.parametrize("role", IMAGES)
def test_an_image_runs_its_role_as_nobody_special(role: str) -> None:
    image = IMAGES[role]
    assert image.user == "10001:10001"
    assert accepts(image.entrypoint)
    assert not accepts((*image.entrypoint, "--unheard-of"))


def test_images_are_made_of_what_the_build_is_given_and_name_no_registry() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    given = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    for name in (name for names in copied for name in names.split()):
        assert f"!{name}" in given
        assert (ROOT / name).exists()
    for image in re.findall(r"^(?:FROM|ARG \w+=) ?(\S+)", text, re.MULTILINE):
        assert not re.match(r"[\w-]+[.:]\S*/", image), image


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_runs_its_role_again_whenever_it_ends_and_may_write_its_folder_alone(
    path: Path,
) -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(path.read_text(encoding="utf-8"))
    service = unit["Service"]
    program, *arguments = shlex.split(service["ExecStart"].replace("%i", "8765"))
    assert program == "/opt/kae/bin/kae"
    assert accepts(("kae", *arguments))
    assert service["Restart"] == "always"
    assert (service["ProtectSystem"], service["NoNewPrivileges"]) == ("strict", "yes")
    folder = f"/var/lib/{service['StateDirectory']}".replace("%i", "8765")
    assert arguments[arguments.index("--data") + 1] == folder
