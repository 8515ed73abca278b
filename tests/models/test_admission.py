"""A version stands for one content, and the policy for every run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stillhouse.config.project import Project, load_project
from stillhouse.errors import UserError
from stillhouse.models.admission import admit, refuse_edited
from stillhouse.outside import open_state
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS

TEACHER = Artefact(STEPS["teacher_model"], "v1")
TEXT = """
name: small
sources: [{name: wiki, path: wiki, kind: documents}]
tasks: [{name: routing, kind: classification, sources: [wiki]}]
teachers: [{version: v1, model: weights, license: MIT}]
students: [{name: small, tasks: [routing]}]
"""


@pytest.fixture
def project(tmp_path: Path, tiny_base: Path) -> Project:
    shutil.copytree(tiny_base, tmp_path / "weights")
    (tmp_path / "weights" / "LICENSE").write_text(
        "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining"
    )
    (tmp_path / "stillhouse.yaml").write_text(TEXT)
    return load_project(tmp_path)


def imported(project: Project) -> State:
    """The state after the teacher was imported; what it holds doesn't matter here."""
    from tests.made import facts_of

    state = open_state(project)
    admitted = admit(project.teachers[0], project, None)
    state.make(
        TEACHER,
        lambda *_: facts_of(
            TEACHER.step.facts, digest="x", model="weights", license_stated=admitted.stated
        ),
    )
    return state


def check(project: Project) -> None:
    state = open_state(project)
    record = state.record(TEACHER)
    assert record is not None
    refuse_edited(project.teachers[0], record.recipe, state.recipe(TEACHER))


def test_a_teacher_whose_files_changed_under_its_version_is_refused(project: Project) -> None:
    assert imported(project).why_stale(TEACHER) is None
    check(project)
    config = project.root / "weights" / "config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(UserError, match="version v1: model: its files changed") as caught:
        check(project)
    assert "a version of its own" in caught.value.remedy
    assert open_state(project).why_stale(TEACHER) == "input source changed"


def test_files_that_were_only_touched_are_the_same_teacher(project: Project) -> None:
    imported(project)
    for file in (project.root / "weights").iterdir():
        file.touch()
    check(project)


def test_another_model_under_a_version_that_was_used_is_refused(project: Project) -> None:
    imported(project)
    (project.root / "weights").rename(project.root / "other")
    project.file.write_text(TEXT.replace("model: weights", "model: other"))
    with pytest.raises(UserError, match="another model when it was imported"):
        check(load_project(project.file))


def test_where_the_source_is_gone_what_was_imported_counts(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = imported(project)
    shutil.rmtree(project.root / "weights")
    assert open_state(project).why_stale(TEACHER) is None
    record = state.record(TEACHER)
    assert record is not None
    assert admit(project.teachers[0], project, record.facts).licence.licence == "MIT"
    strict = project.file.read_text() + "license_policy: {allow: [Apache-2.0]}\n"
    project.file.write_text(strict)
    with pytest.raises(UserError, match=r"license_policy\.allow"):
        admit(project.teachers[0], load_project(project.file), record.facts)
    with pytest.raises(UserError):
        admit(project.teachers[0], project, None)
