"""Teacher, student and quantized student of every version, and how the gap between them moves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from stillhouse.evaluate.telling import Test
from stillhouse.facts import GrownGapFacts
from stillhouse.metrics.bootstrap import SIGNIFICANCE
from stillhouse.metrics.paired import PairedTest
from stillhouse.report.results import Comparison

Z95 = 1.959964
# Models whose scores are compared, as the report calls them.
MODELS = ("teacher", "student", "student_quantized")
# Of what is shipped: what 95 of 100 answers take with one caller, and the most that were answered.
SPEEDS = ("p95_seconds", "requests_per_second")


@dataclass(frozen=True)
class Measured:
    """A student of a teacher version on a task: scores of MODELS, 0 to 1, with their 95 % intervals
    where the report has some; `error` is the standard error of the gap, None where it is unknown.
    `parameters` and `bytes` are those of the teacher and of what is shipped; `slices` the F1 of the
    quantized student by class or field. How fast it answers is None where that was not measured."""

    student: str
    version: str
    task: str
    metric: str
    n: int
    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    error: float | None
    parameters: tuple[int, int]
    bytes: tuple[int, int]
    slices: dict[str, float]
    p95_seconds: float | None = None
    requests_per_second: float | None = None

    @property
    def gap(self) -> float:
        """How much of the teacher's score what is shipped loses, in points of the score."""
        return self.scores["teacher"] - self.scores["student_quantized"]

    @property
    def quantization(self) -> float:
        """The part of it that quantization loses."""
        return self.scores["student"] - self.scores["student_quantized"]


def measured(student: str, version: str, evaluation: Mapping[str, Any]) -> Iterator[Measured]:
    """A row a task of an `evaluation.json`; tasks that one of MODELS lacks are left out."""
    for task in evaluation["about"]["tasks"]:
        name = task["name"]
        if any(name not in evaluation.get(model, {}) for model in MODELS):
            continue
        found = {model: evaluation[model][name] for model in MODELS}
        column = f"{task['table'][0][1]}_ci" if task["table"] else ""
        quantized = found["student_quantized"]
        slices = {**quantized.get("per_class", {}), **quantized.get("per_field", {})}
        yield Measured(
            student, version, name, task["headline"], quantized["n"],
            scores={model: values["score"] for model, values in found.items()},
            intervals={m: tuple(v[column]) for m, v in found.items() if v.get(column)},
            error=_error(evaluation["comparisons"].get(name, ())),
            parameters=_of(evaluation, "parameters"),
            bytes=_of(evaluation, "bytes"),
            slices={part: values["f1"] for part, values in slices.items()},
            **_speeds(evaluation),
        )  # fmt: skip


def _speeds(evaluation: Mapping[str, Any]) -> dict[str, float | None]:
    figures = evaluation.get("latency", {}).get("figures", {})
    return {name: figures.get(name) for name in SPEEDS}


def _of(evaluation: Mapping[str, Any], what: str) -> tuple[int, int]:
    # Of a teacher that a server runs, neither is known.
    return evaluation["teacher"][what] or 0, evaluation["student_quantized"][what]


def _error(comparisons: Sequence[Mapping[str, Any]]) -> float | None:
    """Of the difference of quantized student and teacher, from the report's own paired test."""
    for values in comparisons:
        if (values["first"], values["second"]) == ("student_quantized", "teacher"):
            return standard_error(Comparison.of_json(values).test)
    return None


def standard_error(test: Test) -> float:
    """Of a paired difference: of shares from the answers on which the two differ (McNemar 1947),
    else from the width of the bootstrap's interval. Never 0: that two models agree on every one of
    n examples doesn't say that they do on the next."""
    if isinstance(test, PairedTest):
        split = test.only_first + test.only_second
        variance = (split - (test.only_first - test.only_second) ** 2 / test.n) / test.n**2
        return math.sqrt(max(variance, 0.0)) or 1 / test.n
    return (test.high - test.low) / (2 * Z95) or 1 / test.n


def grown(rows: Sequence[Measured]) -> tuple[list[GrownGapFacts], int]:
    """The gaps that grew by more than chance explains from one version to the next, and how many
    were compared. `rows` are in the order of versions.

    The two versions' errors count as independent: where they were tested on the same texts, the
    true error is rather smaller. One-sided at 5 %, over all of a student's tasks at once (Holm
    1979, "A simple sequentially rejective multiple test procedure").
    """
    found, compared = [], 0
    for _, of_student in groupby(rows, key=lambda row: row.student):
        tasks: dict[str, list[Measured]] = {}
        for row in of_student:
            tasks.setdefault(row.task, []).append(row)
        pairs = [pair for versions in tasks.values() for pair in pairwise(versions)]
        compared += len(pairs)
        by_step: dict[str, list[tuple[float, GrownGapFacts]]] = {}
        for before, after in pairs:
            if (tested := _growth(before, after)) is not None:
                by_step.setdefault(after.version, []).append(tested)
        for tests in by_step.values():
            found += _holm(tests)
    return found, compared


def _growth(before: Measured, after: Measured) -> tuple[float, GrownGapFacts] | None:
    """The chance of such a growth, or of a larger one, where the gap stayed as it was."""
    if before.error is None or after.error is None:
        return None
    growth, error = after.gap - before.gap, math.hypot(before.error, after.error)
    about = GrownGapFacts(
        after.student, after.task, before.version, after.version, before.gap, after.gap,
        growth - Z95 * error, growth + Z95 * error, after.quantization - before.quantization,
    )  # fmt: skip
    return math.erfc(growth / error / math.sqrt(2)) / 2, about


def _holm(tests: Sequence[tuple[float, GrownGapFacts]]) -> list[GrownGapFacts]:
    kept = []
    for place, (chance, about) in enumerate(sorted(tests, key=lambda test: test[0])):
        if chance > SIGNIFICANCE / (len(tests) - place):
            break
        kept.append(about)
    return kept
