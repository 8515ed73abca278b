"""What a report says of a task beside the release in production, from `production` of
`evaluation.json`; the verdict on all tasks is that of `report.production`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stillhouse.evaluate.telling import ends
from stillhouse.report import findings
from stillhouse.report.production import NAME, only_alone, test_of
from stillhouse.tasks.sections import SampleGroup, Section, Table

TITLE = "Beside the release in production"
HEADER = ["Quantized student", "Release in production", "Difference in points", "p", "p (Holm)"]

Evaluation = Mapping[str, Any]


def released_sections(
    evaluation: Evaluation, task: str, samples: Sequence[SampleGroup] = ()
) -> list[Section]:
    """The section of one task; empty where it was not compared."""
    if not _of(evaluation, task):
        return []
    tables = [Table(*table(evaluation, task))]
    return [Section(TITLE, released_readings(evaluation, task), tables=tables, samples=samples)]


def _of(evaluation: Evaluation, task: str) -> Mapping[str, Any]:
    found = (evaluation.get(NAME) or {}).get("tasks") or {}
    return found.get(task) or {}


def table(evaluation: Evaluation, task: str) -> tuple[list[str], list[list[str]]]:
    """Header and the one row, as text; both empty where it was not compared."""
    of = _of(evaluation, task)
    if not of:
        return [], []
    test = test_of(of)
    low, high = (end * 100 for end in ends(test))
    points = f"{test.difference * 100:+z.1f} ({low:+z.1f} to {high:+z.1f})"
    scores = [f"{of['score']:.3f}", f"{of['score'] - test.difference:.3f}"]
    corrected = of.get("p_holm", test.p_value)
    return HEADER, [[*scores, points, _p(test.p_value), _p(corrected)]]


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def released_readings(evaluation: Evaluation, task: str) -> list[str]:
    """Whether the two differ, a paragraph each; and what the released one could not know."""
    of = _of(evaluation, task)
    if not of:
        return []
    metrics = {known["name"]: known["headline"] for known in evaluation["about"]["tasks"]}
    found = evaluation[NAME]
    said = [findings.reading(of["first"], of["second"], test_of(of), metrics[task])]
    said[0] += (
        f" The release is {found['release']}; it was asked the same examples, as it was released."
    )
    if (tasks := len(found["tasks"])) > 1:
        said.append(f"The last p is corrected for the {tasks} tasks that were compared (Holm).")
    if only_alone(of):
        said[-1] += " So corrected, chance may explain the difference."
    if never := of.get("never_learned"):
        share = f"{never:,} of {of['n']:,} examples"
        said.append(
            f"The answers to {share} are classes that the released student never learned: it can "
            "only be wrong there, as it is in production."
        )
    return said
