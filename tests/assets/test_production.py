"""A student beside its release that is in production."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stillhouse.assets import production
from stillhouse.assets.common import Work
from stillhouse.release.dossier import dossier
from stillhouse.release.promote import Asked, propose, release
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS
from stillhouse.tasks.results import Scored
from tests.release.conftest import change, finished, state  # noqa: F401 - fixtures


def scored(right: int, n: int = 200) -> Scored:
    found = np.arange(n) < right
    return Scored(n, right / n, found, {}, {}, {}, None, None)


@pytest.fixture
def compared(state: State) -> Callable[[], dict[str, Any]]:  # noqa: F811
    """What the report of the student as it is now says of the release."""

    def run() -> dict[str, Any]:
        report = Artefact(STEPS["evaluation_report"], "t-2", "router")
        work = Work(state, report, state.folder(report), state.recipe(report))
        ours = {"student_quantized": {"routing": scored(150)}}
        families = {"routing": [f"f{number}" for number in range(200)]}
        tasks = [state.project.task("routing")]
        found: Any = SimpleNamespace(scored=ours, families=families)
        return production.against_production(work, tasks, found)

    return run


def to_production(state: State) -> str:  # noqa: F811
    propose(state, dossier(state, "t-2", "router"))
    return release(state, "router", Asked("it is good")).release


def test_without_a_release_nothing_is_asked(compared: Any) -> None:
    assert compared() == {"release": None, "same": False, "tasks": {}, "not_compared": {}}


def test_a_release_is_compared_once_the_student_is_another(
    state: State,  # noqa: F811
    compared: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = to_production(state)
    assert compared() == {"release": name, "same": True, "tasks": {}, "not_compared": {}}
    change(state, "quantized_model", "t-2", digest="of other weights")
    # Weights that are no model can't be asked, and that breaks no report.
    monkeypatch.setattr(production, "_answers", lambda *_: scored(180))
    found = compared()
    of = found["tasks"]["routing"]
    assert (found["release"], found["teacher_version"]) == (name, "t-2")
    assert (of["first"], of["second"], of["score"]) == ("student_quantized", "production", 0.75)
    assert of["difference"] == pytest.approx(-0.15)
    assert of["low"] < -0.15 < of["high"] < 0
    monkeypatch.setattr(production, "_differs", lambda *_: "it was another task then")
    assert compared()["not_compared"] == {"routing": "it was another task then"}


def test_answers_that_are_taken_over_are_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, store = tmp_path / "kept.parquet", tmp_path / "production.parquet"
    kept.write_bytes(b"answers")

    def killed(_: Path, target: Path) -> None:
        target.write_bytes(b"ans")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(production.shutil, "copyfile", killed)
        production._begin_with(kept, store)
    assert not store.exists()
    production._begin_with(kept, store)
    assert store.read_bytes() == b"answers"


def test_a_damaged_release_breaks_no_report(state: State, compared: Any) -> None:  # noqa: F811
    name = to_production(state)
    change(state, "quantized_model", "t-2", digest="of other weights")
    weights = state.layout.release("router", name) / "quantized" / "model.safetensors"
    weights.write_text("others")
    found = compared()
    assert found["release"] == name
    assert found["not_compared"] == {"routing": "the release is damaged"}


def test_a_task_that_was_another_is_not_compared(state: State) -> None:  # noqa: F811
    task = state.project.task("routing")
    known = {"tasks": {"routing": task.kind}, "task_settings": {"routing": {}}}
    assert production._differs(task, known) == ""
    known["task_settings"]["routing"] = {"instruction": "Another one."}
    assert production._differs(task, known) == "it was another task then"
    assert "does not know it" in production._differs(task, {"tasks": {}})
