"""Models' scored answers side by side, and the numbers of `evaluation.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from stillhouse.errors import UserError
from stillhouse.facts import GateFacts
from stillhouse.metrics.paired import PairedTest, mcnemar_exact
from stillhouse.tasks.results import Scored

COMPARED = [
    ("student", "teacher"),
    ("student_quantized", "student"),
    ("student_quantized", "teacher"),
]
# Fields beside a model's tasks.
RESERVED = ("parameters", "bytes")


@dataclass(frozen=True, eq=False)
class ModelResult:
    """`name` is a key of `tasks.results.MODELS`, or another model's own; `bytes` is its size on
    disk; `tasks` has the model's answers on each task's test split."""

    name: str
    parameters: int | None
    bytes: int | None
    tasks: dict[str, Scored]


def check_comparable(results: Sequence[ModelResult]) -> None:
    """Raise UserError when models were tested on different numbers of a task's examples, or when
    `evaluation.json` could not hold a task's name; ValueError when two models have one name."""
    if len({model.name for model in results}) != len(results):
        raise ValueError("two results have the same model name")
    counts: dict[str, set[int]] = {}
    for model in results:
        for task, scored in model.tasks.items():
            counts.setdefault(task, set()).add(scored.n)
    for task, found in counts.items():
        if task in RESERVED:
            raise UserError(
                f"a task can't be named {task!r}: evaluation.json has a field of that name",
                remedy="give the task another name in the project file",
            )
        if len(found) > 1:
            raise UserError(
                f"task {task!r}: the models of this report were tested on different examples "
                f"({', '.join(map(str, sorted(found)))} of them), so they were made from different "
                "versions of the dataset",
                remedy="make what is out of date again with `stillhouse run`",
            )


def evaluation(
    *,
    project: str,
    student: str,
    teacher_version: str,
    kinds: Mapping[str, str],
    results: Sequence[ModelResult],
    gates: Sequence[GateFacts],
) -> dict[str, Any]:
    """What `evaluation.json` says; `kinds` names the kind of each task, in the order of the report.

    By model: {task: {n, kind, score, its metrics}, "parameters", "bytes"}; beside them "about"
    (of what and in which order), "gates", and "comparisons" (exact McNemar tests by task).
    No time and no path: the same models on the same examples give the same values.
    """
    about = {
        "project": project,
        "student": student,
        "teacher_version": teacher_version,
        "models": [model.name for model in results],
        "tasks": [
            {
                "name": task,
                "kind": kind,
                "headline": scored.headline,
                "table": [list(column) for column in scored.table.items()],
            }
            for task, kind in kinds.items()
            for scored in [next(m.tasks[task] for m in results if task in m.tasks)]
        ],
    }
    models = {
        model.name: {
            task: scored.metrics | {"n": scored.n, "kind": kinds[task], "score": scored.score}
            for task, scored in model.tasks.items()
        }
        | {"parameters": model.parameters, "bytes": model.bytes}
        for model in results
    }
    return models | {
        "about": about,
        "gates": [asdict(gate) for gate in gates],
        "comparisons": {
            task: [
                asdict(test) | {"first": first, "second": second, "difference": test.difference}
                for first, second, test in _comparisons(results, task)
            ]
            for task in kinds
        },
    }


def _comparisons(
    results: Sequence[ModelResult], task: str
) -> Iterator[tuple[str, str, PairedTest]]:
    """Each pair of COMPARED that the report has: the two models' names and their paired test."""
    right = {model.name: model.tasks[task].right for model in results if task in model.tasks}
    for first, second in COMPARED:
        if first in right and second in right:
            yield first, second, mcnemar_exact(right[first], right[second])


def paired_test(comparison: Mapping[str, Any]) -> PairedTest:
    """A comparison of `evaluation.json` as the test that it was."""
    names = ("n", "only_first", "only_second", "p_value", "smallest_significant")
    return PairedTest(**{name: comparison[name] for name in names})
