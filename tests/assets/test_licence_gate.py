"""A licence is looked at before every step that makes a model, not the teacher's alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from stillhouse.assets.teacher import license_of
from stillhouse.config.project import load_project
from stillhouse.outside import open_state
from stillhouse.resources.project import ProjectResource
from tests.made import MINIMAL, make_all


def test_a_run_that_begins_below_the_teacher_stops_when_its_licence_changed(
    tmp_path: Path, write_tiny_model: Callable[..., Path]
) -> None:
    file = tmp_path / "stillhouse.yaml"
    file.write_text(MINIMAL)
    (tmp_path / "t.jsonl").touch()
    weights = write_tiny_model(tmp_path / "models" / "t")
    card = weights / "README.md"
    card.write_text("---\nlicense: mit\n---\n")
    make_all(open_state(load_project(file)))

    def found() -> str | None:
        return license_of(ProjectResource(project_file=str(file)), "t-1")

    assert found() == "MIT"
    card.write_text("---\nlicense: llama3.1\n---\n")
    with pytest.raises(dg.Failure, match=r"says MIT, but the model states llama3\.1"):
        found()
    # The claim follows, and the terms are accepted: it passes, until the house has grown.
    claimed = MINIMAL.replace("license: MIT", "license: llama3.1")
    accepted = "license_policy: {accepted_terms: [llama3.1], monthly_users: %d}\n"
    file.write_text(claimed + accepted % 700)
    assert found() == "llama3.1"
    file.write_text(claimed + accepted % 700_000_001)
    with pytest.raises(dg.Failure, match="at most 700,000,000 monthly users"):
        found()
    shutil.rmtree(weights)
    file.write_text(MINIMAL.replace("license: MIT", "license: GPL-3.0-only"))
    with pytest.raises(dg.Failure):
        found()


def test_what_a_student_begins_as_is_licensed_too(
    tmp_path: Path, write_tiny_model: Callable[..., Path]
) -> None:
    file, project = (
        tmp_path / "stillhouse.yaml",
        MINIMAL.replace(
            "tasks: [routing]}", "tasks: [routing], init: {from: base, license: Apache-2.0}}"
        ),
    )
    file.write_text(project)
    (tmp_path / "t.jsonl").touch()
    write_tiny_model(tmp_path / "models" / "t")
    base = write_tiny_model(tmp_path / "base")

    def found() -> str | None:
        settings = load_project(file)
        resource = ProjectResource(project_file=str(file))
        return license_of(resource, "t-1", settings.student("router"))

    assert found() == "MIT AND Apache-2.0"
    card = base / "README.md"
    card.write_text("---\nlicense: gpl-3.0\n---\n")
    with pytest.raises(dg.Failure, match=r"router\.init\.from"):
        found()
    shutil.rmtree(base)
    with pytest.raises(dg.Failure, match="does not exist"):
        found()
    # Once the student is made, what it began as may be gone.
    make_all(open_state(load_project(file)))
    assert found() == "MIT AND Apache-2.0"
    file.write_text(project.replace("from: base, license: Apache-2.0", "from: base, license: GPL"))
    with pytest.raises(dg.Failure):
        found()
