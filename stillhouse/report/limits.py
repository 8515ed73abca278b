"""What an evaluation can't say, from the numbers of `evaluation.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stillhouse.metrics.classification import wilson_interval
from stillhouse.tasks.sections import Section

TITLE = "What this evaluation can't say"
# Below so many examples a share is known to some 20 points at best.
FEW = 100

Evaluation = Mapping[str, Any]


def limit_sections(evaluation: Evaluation, task: str) -> list[Section]:
    """The section of one task; empty where there is nothing to doubt."""
    said = limit_readings(evaluation, task)
    return [Section(TITLE, said)] if said else []


def limit_readings(evaluation: Evaluation, task: str) -> list[str]:
    """A sentence or two for each thing that the test set is too small or too narrow for."""
    found = evaluation.get("test_sets", {}).get(task)
    if not found:
        return []
    said, n = [], found["n"]
    if n < FEW:
        low, high = wilson_interval(n // 2, n)
        said.append(
            f"{n:,} test example{'s' if n != 1 else ''} tell little: of a share of one half the "
            f"95% interval reaches from {low:.0%} to {high:.0%}, and smaller differences than that "
            "between models stay unseen."
        )
    if found["answers"] == 1 and n > 1:
        said.append(
            "All test examples have the same answer: nothing is said of any other, and a model "
            "that always gives this answer would be perfect here."
        )
    if unseen := found["unseen"]:
        said.append(
            f"{unseen:,} of {n:,} test examples have an answer that no training example has: no "
            "model could learn it, all are wrong there, and this is no fault of the student."
        )
    if missing := found["untested"]:
        said.append(
            f"{missing:,} of the answers that were learned occur in no test example: nothing is "
            "said of them."
        )
    if known := found["in_training"]:
        said.append(
            f"{known:,} of {n:,} test examples have the text of a training example: there a model "
            "may remember instead of know, and every figure is too good by as much."
        )
    return said
