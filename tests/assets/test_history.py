"""The comparison in the graph: made when a report is new, of whatever versions there are."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from stillhouse.assets.history import CHECK, build_comparison_asset
from stillhouse.resources.project import ProjectResource
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS
from stillhouse.storage.files import digest, write_json
from tests.history.test_comparison import SAME, report
from tests.release.conftest import change, finished, reopened, state

__all__ = ["finished", "state"]

COMPARISON = Artefact(STEPS["version_comparison"])


def reported(state: State, version: str, found: dict[str, Any]) -> None:
    write_json(state.layout.student("router", version) / "evaluation.json", found)
    change(state, "evaluation_report", version, digest=digest(found))


@pytest.fixture
def materialized(state: State, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(
        "stillhouse.resources.project.open_state", lambda project, **_: reopened(project.root)
    )
    assets = build_comparison_asset(state.project.students)
    resources = {"project": ProjectResource(project_file=str(state.project.file))}

    def run() -> tuple[dict[str, Any], Any]:
        result = dg.materialize(assets, resources=resources)
        (event,) = result.get_asset_materialization_events()
        checks = {c.check_name: c for c in result.get_asset_check_evaluations()}
        values = event.materialization.metadata
        return {name: value.value for name, value in values.items()}, checks[CHECK]

    return run


def test_a_new_report_makes_it_stale_and_nothing_else_does(state: State) -> None:
    assert state.why_stale(COMPARISON) is None
    change(state, "checkpoint", "t-2", score=0.1)
    assert state.why_stale(COMPARISON) is None
    reported(state, "t-2", report("t-2", {"a": SAME}))
    assert state.why_stale(COMPARISON) == "input evaluation_report changed"


def test_versions_come_in_the_order_of_the_project_file_those_that_left_it_first(
    state: State,
) -> None:
    gone = state.layout.student("router", "t-9")
    gone.parent.mkdir()
    state.layout.student("router", "t-1").rename(gone)
    found = [artefact.version for artefact, _ in state.gathered("evaluation_report")]
    assert found == ["t-9", "t-2"]


def test_the_ui_shows_what_grew_and_the_check_warns(state: State, materialized: Any) -> None:
    reported(state, "t-1", report("t-1", {"a": SAME}))
    reported(state, "t-2", report("t-2", {"a": (0.9, 0.5, 0.5)}, seed=99))
    shown, check = materialized()
    assert not check.passed and check.severity == dg.AssetCheckSeverity.WARN
    assert "router, t-1 to t-2: the gap to the teacher grew" in check.description
    assert shown["plot"].startswith("![Scores by teacher version](data:image/png")
    assert "| router" in shown["versions_compared"] and "student_within_gate" not in shown
    assert shown["leaderboard"].splitlines()[2].split("|")[2].strip() == "t-1"
    reported(state, "t-2", report("t-2", {"a": SAME}, seed=99))
    shown, check = materialized()
    assert check.passed and shown["grown_gaps"] == "none"
