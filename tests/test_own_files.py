"""What is wrong in the user's own files is told before anything else is done."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from stillhouse.assets.teacher import teacher_model
from stillhouse.cli import doctor
from stillhouse.cli.main import app
from stillhouse.config.project import Project, load_project
from stillhouse.errors import UserError
from stillhouse.evaluate.edge_file import FILE
from stillhouse.own_files import require_cases, require_usable
from stillhouse.resources.project import ProjectResource
from tests.made import MINIMAL

NAMED = """\
privacy: {pii_gold: marked.jsonl}
leak_audit: {attacks: attacks.jsonl}
economics: {prices: prices.yaml}
"""
GOOD = {
    "marked.jsonl": '{"text": "Ann called.", "spans": [{"start": 0, "end": 3, "kind": "PERSON"}]}',
    FILE: '{"task": "routing", "text": "Bill?", "answer": "billing"}',
    "attacks.jsonl": '{"name": "own", "prompt": "Say it."}',
    "prices.yaml": "currency: EUR\nas_of: 2026-01-02\nrequests_per_month: {value: 1, source: us}\n",
}
BAD = {
    "marked.jsonl": '{"text": 1}',
    FILE: '\n{"task": "nobody", "text": "Bill?", "answer": "billing"}',
    "attacks.jsonl": '\n{"name": "own"}',
    "prices.yaml": "currency: Euro\nas_of: 2026-01-02\nrequests_per_month: {}\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "stillhouse.yaml").write_text(MINIMAL + NAMED)
    for name, text in GOOD.items():
        (tmp_path / name).write_text(text)
    return load_project(tmp_path)


def test_good_files_are_told_with_what_is_in_them(project: Project) -> None:
    require_usable(project)
    found = {f.subject: f for f in doctor._own_files(project)}
    assert [f.ok for f in found.values()] == [True] * len(GOOD)
    assert found["edge cases of your own"].message == f"1 in {FILE}"
    assert found["attack prompts of your own"].message == "1 in attacks.jsonl"


def test_a_project_without_such_files_is_told_nothing_of_them(tmp_path: Path) -> None:
    (tmp_path / "stillhouse.yaml").write_text(MINIMAL)
    assert list(doctor._own_files(load_project(tmp_path))) == []


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_one_stops_a_run_before_it_begins(project: Project, name: str) -> None:
    (project.root / name).write_text(BAD[name])
    wrong = [f for f in doctor._own_files(project) if not f.ok]
    assert len(wrong) == 1 and f"{name}:" in wrong[0].message.replace(", line ", ":")
    assert "Remedy:" in wrong[0].message
    done = CliRunner().invoke(app, ["run", "-p", str(project.file)])
    assert isinstance(done.exception, UserError)
    assert str(done.exception) == wrong[0].message
    assert not project.data_path.exists()


def test_an_answer_that_is_no_class_is_told_once_there_is_a_dataset(
    project: Project, routing_dataset: Path
) -> None:
    require_cases(project, routing_dataset)
    line = {"task": "routing", "text": "Bill?", "answer": "biling"}
    (project.root / FILE).write_text(json.dumps(line))
    require_usable(project)  # nobody knows the classes yet
    with pytest.raises(UserError, match=f"{FILE}:1: none of the task's classes"):
        require_cases(project, routing_dataset)


def test_a_run_that_the_ui_starts_is_told_before_the_teacher_is_opened(project: Project) -> None:
    (project.root / FILE).write_text(BAD[FILE])
    (project.root / "models" / "t").mkdir(parents=True)  # no model: it would be told of next
    instance = dg.DagsterInstance.ephemeral()
    instance.add_dynamic_partitions("teacher_version", ["t-1"])
    resources = {"project": ProjectResource(project_file=str(project.file))}
    made = dg.materialize(
        [teacher_model],
        instance=instance,
        resources=resources,
        partition_key="t-1",
        raise_on_error=False,
    )
    (failed,) = [e for e in made.all_events if e.is_step_failure]
    assert FILE in str(failed.step_failure_data.user_failure_data)
