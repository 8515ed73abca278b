"""What a report says of edge cases, from the numbers of `evaluation.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stillhouse.report import findings
from stillhouse.tasks.results import MODELS, prose_name, shipped
from stillhouse.tasks.sections import SampleGroup, Section, Table
from stillhouse.wording import MISSING

TITLE = "Edge cases"
CAPTION = (
    "How many of a kind are not answered as expected, with the 95% interval of that share. A model "
    "may be wrong about a text and still pass: what counts is that its answer doesn't change."
)

Evaluation = Mapping[str, Any]


def edge_sections(
    evaluation: Evaluation, task: str, samples: Sequence[SampleGroup] = ()
) -> list[Section]:
    """The section of one task; empty where nothing was asked."""
    if not _asked(evaluation, task):
        return []
    header, rows = edge_table(evaluation, task)
    tables = [Table(header, rows, CAPTION)] if rows else []
    return [Section(TITLE, edge_readings(evaluation, task), tables=tables, samples=samples)]


def _asked(evaluation: Evaluation, task: str) -> Mapping[str, Any]:
    found = evaluation.get("edge_cases", {}).get(task) or {}
    return found if found.get("kinds") or found.get("out_of_scope") else {}


def edge_table(evaluation: Evaluation, task: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows, as text: each kind, what is expected, and how many fail by model."""
    kinds = _asked(evaluation, task).get("kinds", {})
    models = [m for m in MODELS if any(m in row["failed"] for row in kinds.values())]
    header = ["Kind", "Expected", *(findings.shown_name(evaluation, m) for m in models)]
    rows = [
        [
            kind,
            row["expect"],
            *(_share(row, model) if model in row["failed"] else MISSING for model in models),
        ]
        for kind, row in kinds.items()
    ]
    return header, rows


def _share(row: Mapping[str, Any], model: str) -> str:
    low, high = row["ci"][model]
    return f"{row['failed'][model]} of {row['n']} ({low:.2f}–{high:.2f})"


def edge_readings(evaluation: Evaluation, task: str) -> list[str]:
    """What there is to say of the shipped model, a paragraph each."""
    found = _asked(evaluation, task)
    said = [_against_teacher(found), _kinds(found), _out_of_scope(found)]
    return [sentence for sentence in said if sentence]


def _against_teacher(found: Mapping[str, Any]) -> str:
    test = found.get("against_teacher")
    if test is None:
        return ""
    inputs = "input" if test["n"] == 1 else "inputs"
    own = f"{inputs} made from test texts, or written for this project"
    text = (
        f"Of {test['n']:,} {own}, the student fails {test['failed']:,} and its teacher "
        f"{test['failed_teacher']:,}"
    )
    if test["failed"] == test["failed_teacher"]:
        return f"{text}."
    p = "p < 0.001" if test["p_value"] < 0.001 else f"p = {test['p_value']:.2g}"
    verdict = "more than chance explains" if test["significant"] else "too few to tell them apart"
    return f"{text}: {verdict} (exact McNemar {p})."


def _kinds(found: Mapping[str, Any]) -> str:
    if not found.get("kinds"):
        return ""
    limit, over = found["limit"], found["too_many"]
    if over:
        return f"Surely more than {limit:.0%} fail of: {', '.join(over)}."
    few = [kind for kind, row in found["kinds"].items() if _high(row) > limit]
    if few:
        return (
            f"Of no kind do surely more than {limit:.0%} fail. Too few were tried to say that no "
            f"more do of: {', '.join(few)}."
        )
    return f"Of every kind surely no more than {limit:.0%} fail."


def _high(row: Mapping[str, Any]) -> float:
    model = shipped(row["ci"])
    return 1.0 if model is None else float(row["ci"][model][1])


def _out_of_scope(found: Mapping[str, Any]) -> str:
    by_model = found.get("out_of_scope") or {}
    model = shipped(by_model)
    if model is None:
        return ""
    own = by_model[model]
    phrase = (
        f"{own['auroc']:.2f} (95% interval {own['low']:.2f} to {own['high']:.2f}; 0.5 is chance, "
        f"{own['outside']} such text{_s(own['outside'])} against {own['inside']} test "
        f"text{_s(own['inside'])}"
    )
    if (teacher := by_model.get("teacher")) is not None and model != "teacher":
        phrase += f"; its teacher's {teacher['auroc']:.2f}"
    can = (
        "tells texts that the task isn't for from test texts"
        if own["low"] > 0.5
        else "was not shown to tell texts that the task isn't for from test texts"
    )
    return f"The {prose_name(model)}'s confidence {can}: AUROC {phrase})."


def _s(number: int) -> str:
    return "" if number == 1 else "s"
