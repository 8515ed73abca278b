"""Releases from a terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from stillhouse.cli.main import app
from stillhouse.errors import UserError
from stillhouse.release.channels import pointed
from stillhouse.release.dossier import dossier
from stillhouse.release.promote import propose
from stillhouse.state import State
from tests.release.conftest import finished, measured, reopened, state

__all__ = ["finished", "state"]


def ask(state: State, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "-p", str(state.project.root)])


@pytest.fixture(autouse=True)
def nothing_outside_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    import stillhouse.outside

    monkeypatch.setattr(
        stillhouse.outside, "open_state", lambda project, **_: reopened(project.root)
    )


def test_a_release_from_its_candidate_to_its_removal(state: State) -> None:
    assert "Nothing was released yet" in ask(state, "releases").output
    older, _ = propose(state, dossier(state, "t-1", "router"))
    newer, _ = propose(state, dossier(state, "t-2", "router"))
    done = ask(state, "release", "router", "--version", "t-1", "--reason", "try it")
    assert done.output == f"production of router is {older} now.\n"
    done = ask(state, "release", "router", "--reason", "the newer\x1b[31m one")
    assert done.output == f"production of router is {newer} now, before it {older}.\n"
    done = ask(state, "release", "router", "--reason", "again")
    assert done.output == f"production of router is {newer} already.\n"
    listed = ask(state, "releases", "router").output
    assert f"{newer}  [candidate, production]" in listed and "\x1b" not in listed
    assert re.search(r"release to production by \S+: the newer \[31m one", listed)
    assert "teacher t-1, dataset" in listed and "not measured" in listed
    back = ask(state, "rollback", "router", "--reason", "it is slow", "--by", "Ada")
    assert back.output == f"production of router is {older} now, before it {newer}.\n"
    assert "rollback to production by Ada: it is slow" in ask(state, "releases").output
    assert "BEGIN PUBLIC KEY" in ask(state, "releases", "key").output
    refused = ask(state, "releases", "remove", older, "--reason", "old")
    assert isinstance(refused.exception, UserError)
    ask(state, "release", "router", "--reason", "the newer one")
    assert ask(state, "releases", "remove", older, "--reason", "old").exit_code == 0
    assert older not in ask(state, "releases").output.replace(f"before it {older}", "")


def test_an_edited_release_is_told_and_verify_exits_with_1(state: State) -> None:
    name, _ = propose(state, dossier(state, "t-2", "router"))
    assert ask(state, "releases", "verify").output.startswith(f"ok       router {name}")
    file = state.layout.release("router", name) / "manifest.json"
    values = json.loads(file.read_text())
    file.write_text(json.dumps(values))
    found = ask(state, "releases", "verify", name[:8])
    assert found.exit_code == 1 and "manifest.json" in found.output
    assert "REFUSED" in ask(state, "releases").output
    assert isinstance(ask(state, "release", "router", "--reason", "x").exception, UserError)


def test_an_override_names_who_and_why(state: State) -> None:
    measured(state, "t-2", calibrated=0.06)
    asked = ("release", "router", "--override", "calibrated", "--reason", "we can live with it")
    refused = ask(state, *asked)
    assert isinstance(refused.exception, UserError) and "--by NAME" in refused.exception.remedy
    assert ask(state, *asked, "--by", "Ada").exit_code == 0
    assert "overridden: calibrated by Ada: we can live with it" in ask(state, "releases").output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("release", "router", "--channel", "beta"), "no such channel"),
        (("release", "nobody"), "there is no 'nobody'"),
        (("release", "router", "--version", "t-9"), "there is no version 't-9'"),
        (("rollback", "router"), "led to no other release before"),
        (("rollback", "router", "--to", "t-1"), "no releases are called t-1"),
    ],
)
def test_what_is_asked_wrongly_is_told(
    state: State, arguments: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    found = ask(state, *arguments, "--reason", "why not")
    assert isinstance(found.exception, UserError) and says in str(found.exception)
    assert pointed(state.layout, "router", "production") is None
