"""The evaluation report of each student, and the gates as checks."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

from stillhouse.assets.common import Work, asset_of, materialize
from stillhouse.config.student import Student
from stillhouse.config.teacher import Teacher
from stillhouse.facts import EvaluationReportFacts, GateFacts
from stillhouse.judged import in_words
from stillhouse.report.gates import GATES
from stillhouse.resources.project import ProjectResource

if TYPE_CHECKING:
    from stillhouse.evaluate.side_by_side import Candidate, SideBySide
    from stillhouse.report.results import ModelResult

EDGE_CHECK = "edge_cases"
EDGES_ASK = "Of no kind of edge case does the quantized student surely fail more than the limit."


def build_report_asset(student: Student) -> list[dg.AssetsDefinition]:
    """`[student, "evaluation_report"]`, with the project's gates as its checks."""

    @asset_of(
        "evaluation_report",
        student,
        checks={name: asks for name, (_, asks) in GATES.items()} | {EDGE_CHECK: EDGES_ASK},
    )
    def evaluation_report(
        context: dg.AssetExecutionContext, project: ProjectResource
    ) -> dg.MaterializeResult:
        """Teacher, student and quantized student side by side on held-out pairs: a page and JSON.

        It says what was recorded when the models were made, not how the project is now.
        """
        return materialize(
            context,
            project,
            _report,
            checks=lambda facts: [*_gate_results(facts), _edge_result(facts)],
        )

    return [evaluation_report]


def _report(work: Work) -> EvaluationReportFacts:
    from stillhouse.assets.production import against_production
    from stillhouse.assets.proof import ask_edges, edge_cases, edges_ahead, people, proof_of
    from stillhouse.evaluate.edge_cases import samples
    from stillhouse.evaluate.recorded import recorded
    from stillhouse.evaluate.side_by_side import side_by_side, speeds
    from stillhouse.evaluate.slices import sliced
    from stillhouse.report.assemble import make_report
    from stillhouse.report.latency import latency_json
    from stillhouse.tasks.kinds import open_tasks
    from stillhouse.tasks.results import display_name

    student = work.state.where(work.artefact).student
    tasks = [work.project.task(name) for name in student.tasks]
    compared = candidates(work, student)
    planned = edge_cases(work, tasks, max(c.max_tokens for c in compared))
    asks = partial(ask_edges, planned), partial(edges_ahead, planned)
    found = side_by_side(work.dataset, tasks, compared, *asks)
    proof = proof_of(work, {c.name: c.parameters for c in compared}, found, planned)
    beside, won_and_lost = against_production(work, tasks, found)
    proof |= {
        "slices": sliced(
            open_tasks(work.dataset, tasks), work.dataset, found.scored, found.families
        ),
        "leak_audit": _leaks(work),
        "production": beside,
        "people": people(work, tasks, compared),
    }
    answered = speeds(tasks, compared)
    facts = make_report(
        folder=work.folder,
        project=work.project.name,
        student=student.name,
        teacher_version=work.version,
        kinds={task.name: task.kind for task in tasks},
        results=_results(compared, found),
        sections=found.sections,
        limits=work.project.gates,
        learning_curve=work.facts("checkpoint").history,
        provenance=_settings(work),
        recorded=recorded(work.state, work.artefact, texts_per_second=answered),
        baselines=found.baselines,
        families=found.families,
        proof=proof | latency_json(work.facts("latency_profile")),
        more={
            name: samples(task, {c.name: display_name(c.name, c.display) for c in compared})
            for name, task in planned.items()
        },
        won_and_lost=won_and_lost,
    )
    return replace(facts, texts_per_second=answered)


def _leaks(work: Work) -> dict[str, Any]:
    """What the leak audit found, and what each of its rules asks, as evaluation.json says it."""
    from stillhouse.audit.verdict import ASKS

    facts = work.facts("leak_audit")
    rules = [asdict(rule) | {"asks": ASKS.get(rule.name, rule.name)} for rule in facts.rules]
    return {"verdict": facts.verdict, "rules": rules}


def _results(compared: "Sequence[Candidate]", found: "SideBySide") -> "list[ModelResult]":
    """All that answered, in the order in which they are shown; a baseline has no weights."""
    from stillhouse.report.results import ModelResult

    models = {c.name: c for c in compared}
    return [
        ModelResult(name, c.parameters, c.bytes, answers, c.display)
        if (c := models.get(name))
        else ModelResult(name, None, None, answers)
        for name, answers in found.scored.items()
    ]


def candidates(work: Work, student: Student) -> "list[Candidate]":
    """The models of the report, each as its step made it."""
    from stillhouse.evaluate.side_by_side import Candidate
    from stillhouse.tasks.kinds import kind_of

    layout, version = work.layout, work.version
    current = layout.student(student.name, version)
    of_teacher, of_student = work.teacher.adapt.max_tokens, student.distillation.max_tokens
    kept_teacher = layout.teacher_predictions(version)
    kept_student = layout.student_predictions(student.name, version)
    zero_shot, choices = work.teacher.prompt.without_shots(), None
    if work.teacher.adapt.method != "none":
        # What an adapted teacher wrote before it was adapted takes long to write and says little.
        tasks = [work.project.task(name) for name in student.tasks]
        choices = [task.name for task in tasks if kind_of(task).countable]
    rows = [
        ("teacher_zero_shot", "teacher_model", layout.teacher_weights(version), of_teacher),
        ("teacher", "adapted_teacher", layout.adapted_teacher(version), of_teacher),
        ("student", "checkpoint", current / "checkpoint", of_student),
        ("student_quantized", "quantized_model", current / "quantized", of_student),
    ]
    return [
        Candidate(
            name,
            folder,
            digest=work.answered_by(work.facts(step).digest),
            # Of a teacher that a server runs, neither is known.
            parameters=work.facts(step).parameters or None,
            bytes=work.facts(step).bytes or None,
            max_tokens=max_tokens,
            store=(kept_teacher if name.startswith("teacher") else kept_student)
            / f"{name}.parquet",
            prompt=zero_shot if name == "teacher_zero_shot" else None,
            display=_shots(work.teacher) if name == "teacher" else None,
            tasks=choices if name == "teacher_zero_shot" else None,
            access=work.access if name.startswith("teacher") else None,
        )
        for name, step, folder, max_tokens in rows
        if name != "teacher_zero_shot" or choices != []
    ]


def _shots(teacher: Teacher) -> str | None:
    """What a teacher is called that nobody adapts and that is shown examples instead."""
    shots = teacher.prompt.shots if teacher.adapt.method == "none" else 0
    return f"Teacher, {shots} shot{'s' if shots > 1 else ''}" if shots else None


def _settings(work: Work) -> dict[str, Any]:
    """By step, the settings that shaped what it made, as they were then."""
    steps = ("adapted_teacher", "teacher_answers", "soft_labels", "checkpoint", "quantized_model")
    found = {step: work.state.record(work.artefact.beside(step)) for step in steps}
    return {step: record.recipe.settings for step, record in found.items() if record}


def _gate_results(facts: EvaluationReportFacts) -> list[dg.AssetCheckResult]:
    return [
        dg.AssetCheckResult(
            check_name=gate.name,
            passed=gate.passed,
            # A person decides: nothing below the report may be stopped by it yet.
            severity=dg.AssetCheckSeverity.WARN,
            description=gate.description if gate.passed else f"Missed: {gate.description}",
            metadata=_gate_metadata(gate) | {"test_examples": facts.test_examples},
        )
        for gate in facts.gates
    ]


def _edge_result(facts: EvaluationReportFacts) -> dg.AssetCheckResult:
    over = facts.edge_failures
    return dg.AssetCheckResult(
        check_name=EDGE_CHECK,
        passed=not over,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Fails too many: {', '.join(over)}." if over else EDGES_ASK,
        metadata={"edge_cases": facts.edge_cases, "kinds_over_the_limit": len(over)},
    )


def _gate_metadata(gate: GateFacts) -> dict[str, Any]:
    """Numbers that the UI plots; the task that decided, and with several the values of all."""
    numbers = {"value": gate.value, "limit": gate.limit}
    if len(gate.by_task) > 1:
        numbers |= {f"value_{task}": value for task, value in gate.by_task.items()}
    numbers |= {"low": gate.low, "high": gate.high}
    found: dict[str, Any] = {k: round(v, 4) for k, v in numbers.items() if v is not None}
    found["verdict"] = in_words(gate.verdict)
    return found | ({"task": gate.task} if gate.task else {})
