"""What a report says of the release in production, from the numbers of `evaluation.json`.

It is told, and holds nothing back: a student may have to go out though it is worse, as when what
the released one learned from must be forgotten. A person decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stillhouse.config.student import Gates
from stillhouse.evaluate.telling import Test
from stillhouse.facts import GateFacts
from stillhouse.judged import MISSED, PASSED, UNPROVEN
from stillhouse.metrics.bootstrap import SIGNIFICANCE
from stillhouse.report.gates import deciding, loss_gate
from stillhouse.report.results import Comparison
from stillhouse.tasks.results import prose_name

NAME = "production"
ASKS = "It loses no more against the release in production than it may against its teacher."


def test_of(of: Mapping[str, Any]) -> Test:
    """The paired test of a task, for itself."""
    return Comparison.of_json(of).test


def only_alone(of: Mapping[str, Any]) -> bool:
    """Whether a task for itself shows a difference, and as one of those that were compared not."""
    return test_of(of).significant and of.get("p_holm", 0.0) >= SIGNIFICANCE


def production_gate(evaluation: Mapping[str, Any], limits: Gates) -> GateFacts | None:
    """The task that loses most decides; its margin is that of the gate on the student."""
    tasks = (evaluation.get(NAME) or {}).get("tasks") or {}
    found = {
        task: loss_gate(NAME, ASKS, test_of(of), limits.limit("max_score_drop", task), task)
        for task, of in tasks.items()
    }
    return deciding(found) if found else None


def production_said(evaluation: Mapping[str, Any], gate: GateFacts | None) -> str:
    """A sentence or two; empty where nobody looked."""
    found = evaluation.get(NAME)
    if found is None:
        return ""
    if found["release"] is None:
        return "No release is in production yet: there is nothing to compare it with."
    which = f"the release in production ({found['release']})"
    if found.get("same"):
        return f"This student is {which}."
    said = _against(found["tasks"], which, gate) if found["tasks"] and gate else ""
    left: dict[str, list[str]] = {}
    for task, why in found["not_compared"].items():
        left.setdefault(why, []).append(task)
    if left:
        reasons = "; ".join(f"{', '.join(tasks)} ({why})" for why, tasks in left.items())
        said = f"{said} Not compared with {'it' if said else which}: {reasons}."
    return said.strip()


def _against(tasks: Mapping[str, Any], which: str, gate: GateFacts) -> str:
    student = prose_name(next(iter(tasks.values()))["first"])
    margin = f"by more than the margin of {gate.limit:g}"
    verdict = {
        PASSED: f"the {student} is not worse {margin}",
        MISSED: f"the {student} scores lower {margin}",
        UNPROVEN: f"so few examples can't tell whether the {student} is worse {margin}",
    }[gate.verdict]
    parts = [_figures(task, of) for task, of in tasks.items()]
    return f"Against {which}, {verdict}: {'; '.join(parts)}."


def _figures(task: str, of: Mapping[str, Any]) -> str:
    test = test_of(of)
    low, high = test.low or 0.0, test.high or 0.0
    chance = "" if test.significant else "; chance may explain the difference"
    if only_alone(of):
        chance = "; as one of several tasks, chance may explain it"
    return (
        f"{task} {of['score']:.3f} against {of['score'] - test.difference:.3f} "
        f"({test.difference * 100:+z.1f} points, 95% interval {low * 100:+z.1f} to "
        f"{high * 100:+z.1f}{chance if test.difference else ''})"
    )
