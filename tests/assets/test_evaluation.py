"""The gates as checks of the report."""

from __future__ import annotations

import dagster as dg
import pytest

from stillhouse.assets.evaluation import _gate_results, _shots, build_report_asset
from stillhouse.config.student import Student
from stillhouse.config.teacher import Teacher
from stillhouse.facts import EvaluationReportFacts, GateFacts
from stillhouse.report.gates import GATES

GATE = GateFacts("student_within_gate", False, "loses little", 0.07, 0.05, "order")


def results_of(*gates: GateFacts) -> list[dg.AssetCheckResult]:
    return _gate_results(EvaluationReportFacts("d", 200, {}, list(gates)))


def values(result: dg.AssetCheckResult) -> dict[str, object]:
    return {name: value.value for name, value in result.metadata.items()}


def test_every_gate_is_a_check_of_the_report() -> None:
    (asset,) = build_report_asset(Student(name="router", tasks=["routing"]))
    names = {spec.name for spec in asset.check_specs}
    assert set(GATES) <= names
    assert "beats_baseline" in names


def test_a_check_warns_and_names_the_task_that_decided() -> None:
    several = GateFacts(**vars(GATE) | {"by_task": {"order": 0.07, "routing": -0.01234567}})
    first, second = results_of(several, GATE)
    assert not first.passed
    assert first.severity == dg.AssetCheckSeverity.WARN
    assert first.description == "Missed: loses little"
    assert values(first) == {
        "value": 0.07,
        "limit": 0.05,
        "verdict": "missed",
        "value_order": 0.07,
        "value_routing": -0.0123,
        "task": "order",
        "test_examples": 200,
    }
    assert values(second) == {
        "value": 0.07,
        "limit": 0.05,
        "verdict": "missed",
        "task": "order",
        "test_examples": 200,
    }


def test_what_was_not_measured_has_no_value() -> None:
    (only,) = results_of(GateFacts("calibrated", True, "nothing to calibrate", None, 0.1))
    assert only.passed
    assert values(only) == {"limit": 0.1, "verdict": "not measured", "test_examples": 200}


@pytest.mark.parametrize(
    ("method", "shots", "called"),
    [
        ("none", 4, "Teacher, 4 shots"),
        ("none", 1, "Teacher, 1 shot"),
        ("none", 0, None),
        ("lora", 4, None),
    ],
)
def test_a_teacher_that_nobody_adapts_is_called_by_its_shots(
    method: str, shots: int, called: str | None
) -> None:
    values = {"adapt": {"method": method}, "prompt": {"shots": shots}}
    teacher = Teacher.model_validate({"version": "v", "model": "m", "license": "MIT", **values})
    assert _shots(teacher) == called
