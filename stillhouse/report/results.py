"""Models' scored answers side by side, and the numbers of `evaluation.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from stillhouse.errors import UserError
from stillhouse.evaluate.telling import Test, tell_apart
from stillhouse.facts import GateFacts
from stillhouse.metrics.paired import BootstrapTest, PairedTest
from stillhouse.tasks.results import BASELINE, Scored, shipped

COMPARED = [
    ("student", "teacher"),
    ("student_quantized", "student"),
    ("student_quantized", "teacher"),
]
# What a comparison of `evaluation.json` says that it is.
TESTS: dict[str, type[Test]] = {"mcnemar": PairedTest, "bootstrap": BootstrapTest}
# Fields beside a model's tasks.
RESERVED = ("parameters", "bytes")


@dataclass(frozen=True, eq=False)
class ModelResult:
    """`name` is a key of `tasks.results.MODELS`, or another model's own; `bytes` is its size on
    disk, None, like `parameters`, where there are no weights; `tasks` has the model's answers on
    each task's test split. `display` is what it is called in headings, if not as MODELS says."""

    name: str
    parameters: int | None
    bytes: int | None
    tasks: dict[str, Scored]
    display: str | None = None


@dataclass(frozen=True)
class Comparison:
    """Two models, by name, on the same examples of a task."""

    first: str
    second: str
    test: Test

    def to_json(self) -> dict[str, Any]:
        kind = next(name for name, cls in TESTS.items() if isinstance(self.test, cls))
        about = {"first": self.first, "second": self.second, "test": kind}
        return about | asdict(self.test) | {"difference": self.test.difference}

    @staticmethod
    def of_json(values: Mapping[str, Any]) -> Comparison:
        # Before there were other tests, none was named.
        kind = TESTS[values.get("test", "mcnemar")]
        # Nor was there an interval of a McNemar test.
        test = kind(**{f.name: values[f.name] for f in fields(kind) if f.name in values})
        return Comparison(values["first"], values["second"], test)


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


def compare(
    results: Sequence[ModelResult], families: Mapping[str, Sequence[str]] | None = None
) -> dict[str, list[Comparison]]:
    """By task, each pair of COMPARED that the report has, and what is shipped with the baseline.

    See `tell_apart`; examples of one family (by task, in the order of the examples) are drawn
    together.
    """
    found: dict[str, list[Comparison]] = {}
    for task in dict.fromkeys(task for model in results for task in model.tasks):
        scored = {model.name: model.tasks[task] for model in results if task in model.tasks}
        groups = (families or {}).get(task)
        found[task] = [
            Comparison(first, second, tell_apart(scored[first], scored[second], groups))
            for first, second in [*COMPARED, (shipped(scored), BASELINE)]
            if first in scored and second in scored
        ]
    return found


def evaluation(
    *,
    project: str,
    student: str,
    teacher_version: str,
    kinds: Mapping[str, str],
    results: Sequence[ModelResult],
    comparisons: Mapping[str, Sequence[Comparison]],
    gates: Sequence[GateFacts],
    baselines: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What `evaluation.json` says; `kinds` names the kind of each task, in the order of the report,
    `baselines` what a task's baseline is.

    By model: {task: {n, kind, score, its metrics}, "parameters", "bytes"}; beside them "about"
    (of what and in which order), "gates", and "comparisons" (paired tests by task). No time and no
    path: the same models on the same examples give the same values.
    """
    about = {
        "project": project,
        "student": student,
        "teacher_version": teacher_version,
        "models": [model.name for model in results],
        "display": {model.name: model.display for model in results if model.display},
        "tasks": [
            _about_task(task, kind, results) | {"baseline": (baselines or {}).get(task)}
            for task, kind in kinds.items()
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
        "gates": [gate_json(gate) for gate in gates],
        "comparisons": {task: [c.to_json() for c in comparisons.get(task, ())] for task in kinds},
    }


def gate_json(gate: GateFacts) -> dict[str, Any]:
    return asdict(gate) | {"verdict": gate.verdict}


def _about_task(task: str, kind: str, results: Sequence[ModelResult]) -> dict[str, Any]:
    scored = [model.tasks[task] for model in results if task in model.tasks]
    # A baseline may know less of its answers than a model does.
    columns = {title: metric for x in scored for title, metric in x.table.items()}
    return {
        "name": task,
        "kind": kind,
        "headline": scored[0].headline,
        "table": [list(column) for column in columns.items()],
    }
