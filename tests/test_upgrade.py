"""Data directories of other releases: brought to this one's form, or refused."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from stillhouse.cli.upgrading import tell, upgrade
from stillhouse.config.project import load_project
from stillhouse.errors import UserError
from stillhouse.instance import lacking_settings
from stillhouse.outside import open_state
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS
from stillhouse.storage.files import read_json, write_json
from stillhouse.storage.form import FILE, FORM, form_of, write_form
from stillhouse.storage.layout import Layout
from stillhouse.storage.locks import alive
from stillhouse.upgrade import STEPS_UP, bring_up, made_otherwise
from tests.made import MINIMAL, make_all

PARSED, ADAPTED = Artefact(STEPS["parsed_documents"]), Artefact(STEPS["adapted_teacher"], "t-1")


@pytest.fixture
def state(tmp_path: Path) -> State:
    (tmp_path / "stillhouse.yaml").write_text(MINIMAL)
    return make_all(State(load_project(tmp_path), {}))


def edit(state: State, artefact: Artefact, **recipe: object) -> None:
    file = state.folder(artefact) / "provenance.json"
    said = read_json(file)
    said["recipe"] |= recipe
    write_json(file, said)


def as_first_written(state: State) -> None:
    """Records as the first release left them: one version of all code, in words, no libraries in
    the recipe, and other facts."""
    for artefact in state.artefacts():
        folder = state.folder(artefact)
        said = read_json(folder / "provenance.json")
        recipe = {**said["recipe"], "code_version": "3"}
        del recipe["code"], recipe["libraries"]
        old = {"recipe": recipe, "facts": {"documents": 3}, "fingerprint": "f", "license": None}
        write_json(folder / "provenance.json", old | {"created_at": "", "libraries": {}})


def test_a_fresh_directory_has_this_releases_form(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "var")
    layout.root.mkdir()
    assert form_of(layout.root) is None
    assert bring_up(layout) == [] and form_of(layout.root) == FORM


def test_every_form_has_a_step_to_the_next() -> None:
    assert sorted(STEPS_UP) == list(range(1, FORM))


def test_records_of_the_first_release_are_stale_and_say_why(state: State) -> None:
    as_first_written(state)
    assert state.why_stale(PARSED) == "not made yet"  # it can't be read as it is
    assert bring_up(state.layout) == [1] and form_of(state.layout.root) == FORM
    assert state.record(PARSED) is not None
    assert state.why_stale(ADAPTED) is not None and "not made yet" not in state.why_stale(ADAPTED)
    found = made_otherwise(state)
    assert found.keys() == set(state.artefacts())
    assert set(found.values()) == {"its record is of an earlier release"}
    record = state.folder(PARSED) / "provenance.json"
    before = record.read_text()
    assert bring_up(state.layout) == [] and record.read_text() == before


def test_a_killed_upgrade_goes_on_where_it_was(state: State) -> None:
    """Half of the records were rewritten, and the form is still the old one."""
    as_first_written(state)
    bring_up(state.layout)
    half = state.folder(PARSED) / "provenance.json"
    rewritten = half.read_text()
    as_first_written_again = state.folder(ADAPTED) / "provenance.json"
    said = read_json(as_first_written_again)
    said["recipe"] = {"inputs": {}, "settings": {}, "code_version": "3"}
    write_json(as_first_written_again, said)
    (state.layout.root / FILE).unlink()
    assert bring_up(state.layout) == [1]
    assert half.read_text() == rewritten and state.record(ADAPTED) is not None


def test_a_directory_of_a_release_without_the_file_keeps_what_it_has(state: State) -> None:
    before = {f: f.read_bytes() for f in state.layout.root.rglob("provenance.json")}
    assert form_of(state.layout.root) == 1
    assert bring_up(state.layout) == [1]
    assert {f: f.read_bytes() for f in before} == before
    assert not any(state.statuses().values()) and made_otherwise(state) == {}


def test_a_newer_one_is_refused_by_whoever_opens_it(state: State) -> None:
    write_json(state.layout.root / FILE, {"form": FORM + 1, "stillhouse": "9.1"})
    for opened in (lambda: bring_up(state.layout), lambda: open_state(state.project)):
        with pytest.raises(UserError, match=rf"its form is {FORM + 1}.* by stillhouse 9\.1") as e:
            opened()
        assert "install stillhouse 9.1 or later" in str(e.value)
    (state.layout.root / FILE).write_text("{")
    with pytest.raises(UserError, match="doesn't say which form"):
        form_of(state.layout.root)


def test_nothing_is_upgraded_under_a_run(state: State) -> None:
    as_first_written(state)
    under_way = pytest.raises(UserError, match="a run of this project is under way")
    with alive(state.layout.run("one")), under_way:
        bring_up(state.layout)
    assert form_of(state.layout.root) == 1
    write_form(state.layout.root, FORM)
    with alive(state.layout.run("one")):
        assert bring_up(state.layout) == []  # of this form: nothing to do


def test_what_other_code_and_libraries_made_is_said_before_a_run(
    state: State, caplog: pytest.LogCaptureFixture
) -> None:
    now = PARSED.step.versions
    edit(state, PARSED, code={"parsing": now["parsing"] - 1}, libraries={"pypdf": "1.0"})
    edit(state, ADAPTED, code={**ADAPTED.step.versions, "training": 1})
    with caplog.at_level(logging.INFO, logger="stillhouse"):
        assert tell(state.project)
    assert f"parsing {now['parsing'] - 1} -> {now['parsing']}" in caplog.text
    assert (
        "pypdf 1.0 -> " in caplog.text and "adapted_teacher [t-1]: training 1 -> 3" in caplog.text
    )
    assert made_otherwise(state).keys() == {PARSED, ADAPTED}


def test_the_command_upgrades_and_says_what_comes(
    state: State,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    as_first_written(state)
    with caplog.at_level(logging.INFO, logger="stillhouse"):
        upgrade(state.project.root)
    assert "in the form of this release" in (said := capsys.readouterr().out)
    assert "lacks" not in said  # dagster.yaml was written just now
    assert "its record is of an earlier release" in caplog.text
    assert json.loads((state.layout.root / FILE).read_text())["form"] == FORM
    file = state.layout.root / "dagster" / "dagster.yaml"
    file.write_text("telemetry: {enabled: false}\nnux: {enabled: false}\n")
    assert "concurrency" in lacking_settings(state.project)
    monkeypatch.delenv("DAGSTER_HOME")
