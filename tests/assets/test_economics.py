"""What the students in use cost, in the graph."""

from __future__ import annotations

import dagster as dg
import pytest

from stillhouse.assets.economics import build_tco_asset
from stillhouse.resources.project import ProjectResource
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS
from tests.economics.test_tco import state

__all__ = ["state"]


def test_the_asset_shows_the_costs_of_the_version_in_use(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact = Artefact(STEPS["tco_report"])
    state.record(artefact) and (state.folder(artefact) / "provenance.json").unlink()
    monkeypatch.setattr(
        "stillhouse.resources.project.open_state", lambda project, **_: State(project)
    )
    assets = build_tco_asset(state.project.students)
    resources = {"project": ProjectResource(project_file=str(state.project.file))}
    result = dg.materialize(assets, resources=resources)
    (event,) = result.get_asset_materialization_events()
    shown = {name: value.value for name, value in event.materialization.metadata.items()}
    assert "Student, own hardware" in shown["costs"] and "data:image/png" in shown["plots"]
    assert shown["page"] == "/stillhouse/economics/tco.html" and shown["version"] == "t-1"
    assert state.why_stale(artefact) is None
    assert (state.folder(artefact) / "tco.html").exists()
