"""The asset: what may go out becomes the candidate; what may not leaves the run green."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from stillhouse.assets.release import CHECK, build_release_asset
from stillhouse.release.channels import pointed
from stillhouse.resources.project import ProjectResource
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS
from tests.release.conftest import finished, measured, reopened, state

__all__ = ["finished", "state"]


@pytest.fixture
def materialized(state: State, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(
        "stillhouse.resources.project.open_state", lambda project, **_: reopened(project.root)
    )
    monkeypatch.setattr("stillhouse.assets.release.license_of", lambda *_: "MIT")
    assets = build_release_asset(state.project.student("router"))
    resources = {"project": ProjectResource(project_file=str(state.project.file))}

    def run() -> tuple[dict[str, Any], Any]:
        """Metadata, and the check."""
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("teacher_version", ["t-2"])
            result = dg.materialize(
                assets, partition_key="t-2", instance=instance, resources=resources
            )
            (event,) = result.get_asset_materialization_events()
            checks = {c.check_name: c for c in result.get_asset_check_evaluations()}
        values = event.materialization.metadata
        return {name: value.value for name, value in values.items()}, checks[CHECK]

    return run


def test_a_student_that_passed_becomes_the_candidate(state: State, materialized: Any) -> None:
    shown, check = materialized()
    name = pointed(state.layout, "router", "candidate")
    assert check.passed and shown["verdict"] == f"released as {name}"
    assert shown["manifest"] == f"/stillhouse/releases/router/{name}/manifest.json"
    assert shown["manifest_file"] == f"var/releases/router/{name}/manifest.json"
    assert shown["report"] == "/stillhouse/students/router/t-2/current/report.html"
    assert "| leak_audit" in shown["gates"] and "not measured" in shown["gates"]
    assert shown["teacher_version"] == "t-2" and shown["license"] == "MIT"
    assert pointed(state.layout, "router", "production") is None
    again, _ = materialized()
    assert again["reused"] is True and len(list(state.layout.releases.glob("router/t-*/"))) == 1


def test_one_that_missed_a_gate_leaves_the_run_green_and_nothing_released(
    state: State, materialized: Any
) -> None:
    measured(state, "t-2", calibrated=0.06)
    shown, check = materialized()
    assert shown["verdict"] == "held: calibrated"
    assert not check.passed and check.severity == dg.AssetCheckSeverity.WARN
    assert "--override" in check.description
    assert "manifest" not in shown and not state.layout.releases.exists()
    assert not state.layout.channel("router", "candidate").exists()


def test_one_that_was_stale_is_looked_at_again(state: State, materialized: Any) -> None:
    moved = Artefact(STEPS["quantized_model"], "t-2", "router")
    record = state.record(moved)
    assert record is not None
    file = state.folder(moved) / "provenance.json"
    kept = file.read_text()
    file.write_text(kept.replace('"bits": 4', '"bits": 8'))
    shown, _ = materialized()
    assert shown["verdict"] == "held: stale"
    file.write_text(kept)
    shown, check = materialized()
    assert check.passed and pointed(state.layout, "router", "candidate") in shown["verdict"]
