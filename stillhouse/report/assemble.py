"""Writes a student's evaluation report from scored answers: no model, table or other artefact is
read here, so that it says what its models were made from, and not what lies there now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stillhouse.config.student import Gates
from stillhouse.facts import Epoch, EvaluationReportFacts
from stillhouse.report.beside import gates_beside
from stillhouse.report.edge_cases import edge_sections
from stillhouse.report.gates import gates_of
from stillhouse.report.limits import limit_sections
from stillhouse.report.page import render_html
from stillhouse.report.people import people_sections
from stillhouse.report.production import production_gate
from stillhouse.report.released import released_sections
from stillhouse.report.results import (
    ModelResult,
    check_comparable,
    compare,
    evaluation,
    gate_json,
)
from stillhouse.report.slices import slice_sections
from stillhouse.report.trust import trust_sections
from stillhouse.storage.files import digest, write_json, write_text
from stillhouse.tasks.results import shipped
from stillhouse.tasks.sections import SampleGroup, Section

EVALUATION, PAGE = "evaluation.json", "report.html"


def make_report(
    *,
    folder: Path,
    project: str,
    student: str,
    teacher_version: str,
    kinds: Mapping[str, str],
    results: Sequence[ModelResult],
    sections: Mapping[str, Sequence[Section]],
    limits: Gates,
    learning_curve: Sequence[Epoch],
    provenance: Mapping[str, Any],
    baselines: Mapping[str, str] | None = None,
    families: Mapping[str, Sequence[str]] | None = None,
    proof: Mapping[str, Any] | None = None,
    more: Mapping[str, Sequence[SampleGroup]] | None = None,
    won_and_lost: Mapping[str, Sequence[SampleGroup]] | None = None,
    recorded: Mapping[str, Any] | None = None,
) -> EvaluationReportFacts:
    """Write `report.html` and `evaluation.json` into `folder`; the facts have the report's own
    gates, not those of other steps.

    `kinds` names the kind of each task, in the order in which the report shows them, and `sections`
    what it shows of each; `results` holds teacher, student and quantized student at least.
    `learning_curve` has figures by epoch (see `plots.learning_curve`), `provenance` the
    settings that they were made by, as they are to be shown (may be nested). By task, `baselines`
    says what the model "baseline" of `results` is, and `families` which examples belong together.
    `proof` has what else was measured (see `proof_sections` and `report.beside`), JSON values that
    evaluation.json says too; `more` examples of edge cases, by task, and `won_and_lost` those where
    student and release in production differ; `recorded` what is known of how the models came about
    (see `evaluate.recorded`), which evaluation.json says and the digest leaves out: the same report
    is the same on whichever machine and in whichever run it was made.

    Raises UserError when the models were tested on different examples.
    """
    check_comparable(results)
    comparisons = compare(results, families)
    proof = dict(proof or {})
    own = gates_of(
        {model.name: model for model in results}, limits, comparisons, _trust(proof, results)
    )
    gates = [*own, *gates_beside(proof, limits)]
    if (beside := production_gate(proof, limits)) is not None:
        proof["production"] = {**proof["production"], "gate": gate_json(beside)}
    values = evaluation(
        project=project,
        student=student,
        teacher_version=teacher_version,
        kinds=kinds,
        results=results,
        comparisons=comparisons,
        gates=gates,
        baselines=baselines,
    )
    values |= proof
    edges = proof.get("edge_cases", {})
    sections = {
        task: [
            *sections.get(task, ()),
            *released_sections(values, task, (won_and_lost or {}).get(task, ())),
            *proof_sections(values, task, (more or {}).get(task, ())),
        ]
        for task in kinds
    }
    found = digest(values)
    values |= dict(recorded or {})
    page = render_html(values, sections, learning_curve, provenance)
    write_text(folder / PAGE, page)
    write_json(folder / EVALUATION, values)
    return EvaluationReportFacts(
        digest=found,
        test_examples=min(scored.n for model in results for scored in model.tasks.values()),
        figures={
            f"{model.name}_{task}_{figure}": value
            for model in results
            for task, scored in model.tasks.items()
            for figure, value in scored.figures.items()
        },
        gates=own,
        edge_cases=sum(
            row["n"] for found in edges.values() for row in found.get("kinds", {}).values()
        ),
        edge_failures=[
            f"{task}: {kind}" for task, found in edges.items() for kind in found["too_many"]
        ],
    )


def proof_sections(
    evaluation: Mapping[str, Any],
    task: str,
    samples: Sequence[SampleGroup] = (),
) -> list[Section]:
    """What a report shows of a task beside its answers: what the test set can't say, how its
    slices differ, what confidence is worth, how models did on edge cases, with `samples` of what
    failed, and what people said of their outputs."""
    return [
        *limit_sections(evaluation, task),
        *slice_sections(evaluation, task),
        *trust_sections(evaluation, task),
        *edge_sections(evaluation, task, samples),
        *people_sections(evaluation, task),
    ]


def _trust(
    proof: Mapping[str, Any], results: Sequence[ModelResult]
) -> dict[str, Mapping[str, Any]]:
    """By task, what the confidence of the shipped model is worth."""
    model = shipped([found.name for found in results])
    by_task = proof.get("calibration", {})
    return {task: of[model]["after"] for task, of in by_task.items() if model in of}
