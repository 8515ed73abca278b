"""`stillhouse pii` as a user runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stillhouse.cli.main import app
from stillhouse.config.project import load_project
from stillhouse.corpus.pii.vault import Vault, VaultEntry, load_or_create_key
from stillhouse.errors import UserError
from stillhouse.storage.layout import Layout

SmallProject = Callable[..., Path]
runner = CliRunner()


@pytest.fixture
def project(small_project: SmallProject) -> Path:
    file = small_project(tickets=5)
    layout = Layout(load_project(file).data_path)
    vault = Vault(layout.vault, load_or_create_key(layout.key("vault")))
    vault.add([VaultEntry("Person-kuvora", "PERSON", "Maria\x1b[2J\x9b31m\u202eGonzalez")])
    return file


def test_a_pseudonym_is_revealed_and_logged(project: Path) -> None:
    reason = ["--reason", "ticket 12 \x1b[2J"]
    done = runner.invoke(app, ["pii", "reveal", "Person-kuvora", "-p", str(project), *reason])
    assert done.exit_code == 0, done.output
    # Whatever else it is, it's no command to the terminal.
    assert done.output == "PERSON  Maria [2J 31m Gonzalez\n"
    log = runner.invoke(app, ["pii", "log", "-p", str(project)])
    (line,) = log.output.splitlines()
    assert line.endswith("Person-kuvora  ticket 12 [2J") and "+00:00  " in line
    assert "Gonzalez" not in line and "\x1b" not in line


def test_a_reason_is_asked_for(project: Path) -> None:
    done = runner.invoke(app, ["pii", "reveal", "Person-kuvora", "-p", str(project)])
    assert done.exit_code == 2 and "--reason" in done.output
    assert "Gonzalez" not in done.output


def test_without_the_key_it_says_what_to_do(project: Path) -> None:
    key = Layout(load_project(project).data_path).key("vault")
    key.unlink()
    asks = ["pii", "reveal", "Person-kuvora", "--reason", "x", "-p", str(project)]
    done = runner.invoke(app, asks)
    assert isinstance(done.exception, UserError) and "restore it" in done.exception.remedy
    assert not key.exists() and "Gonzalez" not in done.output
