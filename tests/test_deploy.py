"""The files in deploy/ call what there is, as it is called."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

from stillhouse.cli.main import app
from stillhouse.instance import POSTGRES_VARIABLE

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
UNITS = sorted(DEPLOY.glob("systemd/*.service"))


def parse(arguments: list[str]) -> None:
    """Raises `click.UsageError` for a command or an option that there isn't."""
    group = typer.main.get_command(app)
    name, *rest = arguments
    command = group.commands[name]  # type: ignore[attr-defined]
    command.make_context(name, rest)


@pytest.mark.parametrize("unit", UNITS, ids=[unit.name for unit in UNITS])
def test_units_call_commands_that_there_are(unit: Path) -> None:
    read = configparser.ConfigParser(interpolation=None, strict=False)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read_string(unit.read_text())
    program, *arguments = shlex.split(read["Service"]["ExecStart"].replace("%i", "helpdesk"))
    assert program.endswith("/bin/stillhouse")
    parse(arguments)
    assert "any" in read["Service"]["IPAddressDeny"] and read["Service"]["UMask"] == "0077"


def test_the_image_and_the_compose_file_agree_with_the_code() -> None:
    made = (DEPLOY / "Dockerfile").read_text()
    command = re.search(r"^CMD (\[.*\])$", made, re.MULTILINE)
    assert command is not None
    program, *arguments = yaml.safe_load(command[1])
    assert program == "stillhouse"
    parse(arguments)
    pinned = re.search(r"torch==[\d.]+", (DEPLOY.parent / "Makefile").read_text())
    assert pinned is not None and pinned[0] in made
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert POSTGRES_VARIABLE in services["stillhouse"]["environment"]
    assert services["stillhouse"]["ports"] == ["127.0.0.1:3000:3000"]
