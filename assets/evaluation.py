"""The evaluation report of each student, and the gates as checks."""

from pathlib import Path
from typing import Any

import dagster as dg

from stillhouse.assets.common import OWNERS, materialize, teacher_versions, user_errors
from stillhouse.assets.dataset import dataset_splits
from stillhouse.assets.teacher import adapted_teacher, tasks_in
from stillhouse.config.student import Student
from stillhouse.recipes import CODE_VERSIONS
from stillhouse.report.assemble import build_report, model_result
from stillhouse.report.page import (
    evaluation_json,
    markdown_table,
    render_html,
    render_markdown,
)
from stillhouse.report.results import ReportInput
from stillhouse.resources.project import ProjectResource
from stillhouse.storage.files import digest, read_json, write_json, write_text
from stillhouse.storage.provenance import read_provenance
from stillhouse.student.distil import PREDICTIONS
from stillhouse.teacher.adaptation import ZERO_SHOT_PREDICTIONS

GATES = ("student_within_gate", "quantized_within_gate", "calibrated")


def build_report_asset(student: Student) -> list[dg.AssetsDefinition]:
    """`[student, "evaluation_report"]`, with the project's gates as its checks."""
    name = student.name

    @dg.asset(
        name="evaluation_report",
        key_prefix=name,
        group_name="evaluation",
        owners=OWNERS,
        kinds={"python", "html"},
        tags={"student": name},
        partitions_def=teacher_versions,
        code_version=CODE_VERSIONS["evaluation_report"],
        deps=[
            dg.AssetKey([name, "checkpoint"]),
            dg.AssetKey([name, "quantized_model"]),
            adapted_teacher,
            dataset_splits,
        ],
        check_specs=[
            dg.AssetCheckSpec(
                gate,
                asset=dg.AssetKey([name, "evaluation_report"]),
                description=description,
                partitions_def=teacher_versions,
            )
            for gate, description in zip(
                GATES,
                (
                    "The student loses no more accuracy against its teacher than the gate allows.",
                    "Quantization costs no more accuracy than the gate allows.",
                    "The quantized student's expected calibration error is within the gate.",
                ),
                strict=True,
            )
        ],
    )
    def evaluation_report(
        context: dg.AssetExecutionContext, project: ProjectResource
    ) -> dg.MaterializeResult:
        """Teacher, student and quantized student side by side: HTML page, JSON, Markdown."""
        version = context.partition_key
        folder = project.layout.student(name, version)
        with user_errors():
            recipe = project.recipes.student("evaluation_report", name, version)

        def make() -> dict[str, Any]:
            report = _report(project, name, version)
            write_text(folder / "report.html", render_html(report))
            values = evaluation_json(report)
            write_json(folder / "evaluation.json", values)
            return {
                "digest": digest(values),
                "report": str(folder / "report.html"),
                **_figures(report),
                "gates": [gate._asdict() for gate in report.gates],
                "table_md": markdown_table(report.results),
                "summary_md": render_markdown(report),
            }

        result = materialize(folder, recipe, make)
        return result._replace(check_results=_gate_results(folder))

    return [evaluation_report]


def _report(project: ProjectResource, student: str, version: str) -> ReportInput:
    layout, recipes = project.layout, project.recipes
    tasks = tasks_in(project, recipes.student_settings(student).tasks)
    teacher, current = layout.adapted_teacher(version), layout.student(student, version)

    def result(key: str, facts: dict[str, Any], predictions: Path) -> Any:
        return model_result(
            key, tasks, predictions, parameters=facts["parameters"], size=facts["bytes"]
        )

    base = recipes.facts("teacher_model", version)
    adapted = recipes.facts("adapted_teacher", version)
    trained = recipes.facts("checkpoint", version, student)
    quantized = recipes.facts("quantized_model", version, student)
    return build_report(
        project=project.project.name,
        student=student,
        teacher_version=version,
        tasks=tasks,
        results=[
            result("teacher_zero_shot", base, teacher / ZERO_SHOT_PREDICTIONS),
            result("teacher", adapted, teacher / PREDICTIONS),
            result("student", trained, current / "checkpoint" / PREDICTIONS),
            result("student_quantized", quantized, current / "quantized" / PREDICTIONS),
        ],
        limits=project.project.gates,
        learning_curve=trained["history"],
        provenance=_provenance(project, student, version),
    )


def _provenance(project: ProjectResource, student: str, version: str) -> dict[str, Any]:
    """What the report says of where its numbers come from."""
    recipes = project.recipes
    teacher = recipes.facts("teacher_model", version)
    record = read_provenance(recipes.folder("checkpoint", version, student))
    assert record is not None  # noqa: S101 - `facts` would have raised before
    return {
        "Teacher": {
            "version": version,
            "model": teacher["model"],
            "license": teacher["license"],
            "fingerprint": teacher["digest"],
            "adaptation": project.recipes.teacher("adapted_teacher", version).settings,
        },
        "Dataset": {
            "digest": recipes.digest("dataset_splits"),
            "pairs": recipes.facts("instruction_pairs")["pairs"],
            **{k: recipes.facts("dataset_splits")[k] for k in ("train", "validation", "test")},
        },
        "Student": {
            "fingerprint": recipes.digest("checkpoint", version, student),
            "trained_at": record.created_at,
            "settings": record.recipe.settings,
            "quantization": recipes.student("quantized_model", student, version).settings,
        },
        "Libraries": record.libraries,
    }


def _figures(report: ReportInput) -> dict[str, Any]:
    """Numbers that the UI plots over time, per model and task."""
    return {
        f"{model.name}_{task}_{figure}": float(getattr(found.metrics, figure))
        for model in report.results
        for task, found in model.tasks.items()
        for figure in ("accuracy", "macro_f1", "ece")
    }


def _gate_results(folder: Path) -> list[dg.AssetCheckResult]:
    record = read_provenance(folder)
    assert record is not None and (folder / "evaluation.json").exists()  # noqa: S101
    n = min(
        v["n"]
        for k, v in read_json(folder / "evaluation.json")["student"].items()
        if k not in ("parameters", "bytes")
    )
    return [
        dg.AssetCheckResult(
            check_name=check,
            passed=gate["passed"],
            # A person decides: nothing below the report may be stopped by it yet.
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"value": gate["value"], "limit": gate["limit"], "test_examples": n},
        )
        for check, gate in zip(GATES, record.facts["gates"], strict=True)
    ]
