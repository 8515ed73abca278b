"""From stored predictions to a report: no model is loaded here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stillhouse.config.student import Gates
from stillhouse.evaluate.predictions import read_predictions
from stillhouse.lm.tasks import TaskData
from stillhouse.report.results import Gate, ModelResult, ReportInput, TaskResult


def model_result(
    name: str, tasks: Sequence[TaskData], predictions: Path, *, parameters: int, size: int
) -> ModelResult:
    """Predictions of the test split, in the order of the tasks' rows.

    Raises KeyError when a test pair has no prediction: the model saw another dataset.
    """
    import numpy as np

    found = read_predictions(predictions)
    return ModelResult(
        name,
        parameters,
        size,
        {
            task.name: TaskResult(
                task.labels,
                task.gold("test"),
                np.array([found[task.name][row["pair_id"]] for row in task.rows["test"]]),
            )
            for task in tasks
        },
    )


def gates_of(results: Mapping[str, ModelResult], limits: Gates) -> list[Gate]:
    """The project's gates on teacher, student and quantized student; the worst task decides."""
    drop = _worst_drop(results["teacher"], results["student"])
    quantization = _worst_drop(results["student"], results["student_quantized"])
    ece = max(t.metrics.ece for t in results["student_quantized"].tasks.values())
    return [
        _at_most(
            "student accuracy",
            "accuracy that the student loses against its teacher",
            drop,
            limits.max_accuracy_drop,
        ),
        _at_most(
            "quantized accuracy",
            "accuracy that quantization loses",
            quantization,
            limits.max_quantization_drop,
        ),
        _at_most(
            "calibration",
            "expected calibration error of the quantized student",
            ece,
            limits.max_ece,
        ),
    ]


def _at_most(name: str, description: str, value: float, limit: float) -> Gate:
    # A drop of exactly the limit passes, however the subtraction rounds.
    return Gate(name, value <= limit + 1e-9, description, value, limit)


def _worst_drop(reference: ModelResult, other: ModelResult) -> float:
    return max(
        reference.tasks[task].metrics.accuracy - other.tasks[task].metrics.accuracy
        for task in reference.tasks
    )


def build_report(
    *,
    project: str,
    student: str,
    teacher_version: str,
    tasks: Sequence[TaskData],
    results: Sequence[ModelResult],
    limits: Gates,
    learning_curve: list[dict[str, Any]],
    provenance: dict[str, Any],
) -> ReportInput:
    return ReportInput(
        project=project,
        student=student,
        teacher_version=teacher_version,
        results=list(results),
        created_at=datetime.now(UTC),
        samples={task.name: [row["input"] for row in task.rows["test"]] for task in tasks},
        learning_curve=learning_curve,
        gates=gates_of({r.name: r for r in results}, limits),
        provenance=provenance,
    )
