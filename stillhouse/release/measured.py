"""What the report measured of the model that goes out: for its card and its bill of materials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stillhouse.tasks.results import shipped


@dataclass(frozen=True)
class Measured:
    """A figure of the released model on a task's `n` held-out texts; `title` is what the report
    calls it, `low` and `high` its 95 % interval, where there is one; `teacher` and `baseline` have
    what those two reach."""

    task: str
    kind: str
    n: int
    title: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    teacher: float | None = None
    baseline: float | None = None


def measured(evaluation: Mapping[str, Any]) -> list[Measured]:
    """The columns of the report's tables; `evaluation` is what evaluation.json says, {} without."""
    return list(_measured(evaluation)) if evaluation else []


def _measured(evaluation: Mapping[str, Any]) -> Iterator[Measured]:
    about = evaluation["about"]
    ours = evaluation.get(shipped(about["models"]) or "", {})
    for task in about["tasks"]:
        name = task["name"]
        for title, metric in task["table"]:
            value = ours.get(name, {}).get(metric)
            if value is None:
                continue
            low, high = ours[name].get(f"{metric}_ci") or (None, None)
            beside = [evaluation.get(m, {}).get(name, {}).get(metric) for m in _BESIDE]
            title = title.removesuffix(" (95% CI)")
            yield Measured(
                name, task["kind"], ours[name]["n"], title, metric, value, low, high, *beside
            )


_BESIDE = ("teacher", "baseline")
