"""The evaluation report of each student, and the gates as checks."""

from typing import Any

import dagster as dg

from stillhouse.assets.common import Work, artefact_of, asset_of, materialize
from stillhouse.config.student import Student
from stillhouse.evaluate.student import evaluate_models
from stillhouse.facts import EvaluationReportFacts
from stillhouse.report.assemble import make_report
from stillhouse.report.gates import GATES
from stillhouse.resources.project import ProjectResource
from stillhouse.state import Artefact
from stillhouse.steps import STEPS


def build_report_asset(student: Student) -> list[dg.AssetsDefinition]:
    """`[student, "evaluation_report"]`, with the project's gates as its checks."""

    @asset_of(
        "evaluation_report", student, checks={name: asks for name, (_, asks) in GATES.items()}
    )
    def evaluation_report(
        context: dg.AssetExecutionContext, project: ProjectResource
    ) -> dg.MaterializeResult:
        """Teacher, student and quantized student side by side on held-out pairs: a page and JSON.

        It says what was recorded when the models were made, not how the project is now.
        """
        result = materialize(context, project, _report)
        facts = project.state(context.run_id).facts(artefact_of(context))
        return result._replace(check_results=[*result.check_results, *_gate_results(facts)])

    return [evaluation_report]


def _report(work: Work) -> EvaluationReportFacts:
    student = work.state.where(work.artefact).student
    current = work.layout.student(student.name, work.version)
    results = evaluate_models(
        work.dataset,
        [work.project.task(name) for name in student.tasks],
        folders={
            "teacher_zero_shot": work.layout.teacher_weights(work.version),
            "teacher": work.layout.adapted_teacher(work.version),
            "student": current / "checkpoint",
            "student_quantized": current / "quantized",
        },
        facts={
            "teacher_zero_shot": work.facts("teacher_model"),
            "teacher": work.facts("adapted_teacher"),
            "student": work.facts("checkpoint"),
            "student_quantized": work.facts("quantized_model"),
        },
        stores={
            "teacher_zero_shot": work.layout.teacher_predictions(work.version),
            "teacher": work.layout.teacher_predictions(work.version),
            "student": work.layout.student_predictions(student.name, work.version),
            "student_quantized": work.layout.student_predictions(student.name, work.version),
        },
        max_tokens={
            "teacher_zero_shot": work.teacher.adapt.max_tokens,
            "teacher": work.teacher.adapt.max_tokens,
            "student": student.distillation.max_tokens,
            "student_quantized": student.distillation.max_tokens,
        },
        zero_shot=("teacher_zero_shot",),
    )
    return make_report(
        folder=work.folder,
        project=work.project.name,
        student=student.name,
        teacher_version=work.version,
        results=results.models,
        sections=results.sections,
        kinds=results.kinds,
        limits=work.project.gates,
        learning_curve=work.facts("checkpoint").history,
        provenance=_provenance(work),
    )


def _provenance(work: Work) -> dict[str, Any]:
    """Where the report's numbers come from, as it was recorded when each model was made."""

    def record(step: str) -> Any:
        scope = STEPS[step].scope
        student = work.artefact.student if scope == "student" else None
        found = work.state.record(Artefact(STEPS[step], work.version, student))
        assert found is not None  # noqa: S101 - the recipe could not be made else
        return found

    teacher, adapted, trained = (
        record("teacher_model"),
        record("adapted_teacher"),
        record("checkpoint"),
    )
    splits = work.facts("dataset_splits")
    return {
        "Teacher": {
            "version": work.version,
            "model": teacher.facts["model"],
            "license": teacher.license,
            "digest": teacher.facts["digest"],
            "imported_at": teacher.created_at,
            "adapted_at": adapted.created_at,
            "adaptation": adapted.recipe.settings,
        },
        "Dataset": {
            "digest": trained.dataset,
            "train": splits.train,
            "validation": splits.validation,
            "test": splits.test,
        },
        "Student": {
            "digest": trained.facts["digest"],
            "trained_at": trained.created_at,
            "settings": trained.recipe.settings,
            "quantization": record("quantized_model").recipe.settings,
            "runs": sorted({r for r in (adapted.run_id, trained.run_id) if r}),
        },
        "Libraries": trained.libraries,
    }


def _gate_results(facts: EvaluationReportFacts) -> list[dg.AssetCheckResult]:
    return [
        dg.AssetCheckResult(
            check_name=gate.name,
            passed=gate.passed,
            # A person decides: nothing below the report may be stopped by it yet.
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                name: round(value, 4)
                for name, value in (("value", gate.value), ("limit", gate.limit))
                if value is not None
            }
            | {"test_examples": facts.test_examples},
        )
        for gate in facts.gates
    ]
