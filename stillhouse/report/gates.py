"""The limits that a project sets beforehand, and whether a student keeps to them.

What "kept to" means is said once, in `stillhouse.judged`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stillhouse.config.student import Gates
from stillhouse.evaluate.telling import Test, ends
from stillhouse.facts import GateFacts
from stillhouse.judged import MISSED, UNPROVEN, VERDICTS, judge, judge_above
from stillhouse.metrics.paired import enough_for
from stillhouse.tasks.results import BASELINE
from stillhouse.wording import about, number

if TYPE_CHECKING:
    from stillhouse.report.results import Comparison, ModelResult

# By the name of its check, in the order in which they are shown: a title, and what it asks.
GATES = {
    "student_within_gate": (
        "Student",
        "The student loses no more of its teacher's score than the gate allows.",
    ),
    "quantized_within_gate": (
        "Quantization",
        "Quantization costs no more of the score than the gate allows.",
    ),
    "calibrated": (
        "Calibration",
        "The quantized student's confidence is right within the gate, on average.",
    ),
    "beats_baseline": (
        "Baseline",
        "The quantized student scores higher than a far simpler method.",
    ),
}
# Those whose value is what is lost of a score.
LOSSES = ("student_within_gate", "quantized_within_gate")

Comparisons = Mapping[str, "Sequence[Comparison]"]


def gates_of(
    results: Mapping[str, ModelResult],
    limits: Gates,
    comparisons: Comparisons,
    trust: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[GateFacts]:
    """The gates on teacher, student and quantized student, in the order of GATES.

    The task that keeps least to its limit decides. Calibration passes where no kind of task states
    a confidence, and so does the comparison with the baseline where there is none. `comparisons`
    has the paired tests by task; how far calibration may be off is told by `trust`: by task the
    figures of `metrics.calibration_error.Trust`.
    """
    student, quantized = results["student"], results["student_quantized"]
    errors = {
        task: scored.calibration_error
        for task, scored in quantized.tasks.items()
        if scored.calibration_error is not None
    }
    pairs = (
        (student.name, "teacher", "max_score_drop"),
        (quantized.name, student.name, "max_quantization_drop"),
    )
    return [
        *(
            _at_most(name, comparisons, first, second, limits, setting)
            for name, (first, second, setting) in zip(LOSSES, pairs, strict=True)
        ),
        _calibrated(errors, limits, trust or {})
        if errors
        else GateFacts(
            "calibrated",
            True,
            "No task has answers that are right or wrong: there is nothing to calibrate.",
            None,
            limits.max_ece,
        ),
        _beats_baseline(quantized.name, comparisons),
    ]


def _at_most(
    name: str, comparisons: Comparisons, ours: str, theirs: str, limits: Gates, setting: str
) -> GateFacts:
    """What the first model loses of the second's score against the limits of that setting."""
    found = {
        task: loss_gate(name, GATES[name][1], compared.test, limits.limit(setting, task), task)
        for task, compared in _between(comparisons, ours, theirs).items()
    }
    return deciding(found)


def loss_gate(name: str, asks: str, test: Test, limit: float, task: str) -> GateFacts:
    """Of a paired test of a model and the one that it may lose so much to."""
    low, high = ends(test)
    value, low, high = 0.0 - test.difference, 0.0 - high, 0.0 - low
    verdict = judge(value, high, limit)
    enough = enough_for(test.n, test.differing, high - value, limit - value)
    return _gate(name, asks, verdict, (value, low, high), limit, task, test.n, enough)


def _calibrated(
    errors: Mapping[str, float], limits: Gates, trust: Mapping[str, Mapping[str, Any]]
) -> GateFacts:
    """Chance alone makes an error of a few examples large: the lower end of its interval, which has
    that taken off, stands for the figure."""
    name = "calibrated"
    found = {}
    for task, value in errors.items():
        limit, known = limits.limit("max_ece", task), trust.get(task)
        low, high = known["ece_ci"] if known else (value, value)
        verdict = judge(low, high, limit)
        n = known["n"] if known else None
        enough = enough_for(n, n, high - value, limit - value) if n else None
        found[task] = _gate(
            name, GATES[name][1], verdict, (value, low, high), limit, task, n, enough
        )
    return deciding(found)


def _beats_baseline(quantized: str, comparisons: Comparisons) -> GateFacts:
    name = "beats_baseline"
    found = {}
    for task, compared in _between(comparisons, quantized, BASELINE).items():
        test = compared.test
        value, (low, high) = test.difference, ends(test)
        verdict = judge_above(value, low, 0.0)
        enough = enough_for(test.n, test.differing, value - low, value)
        found[task] = _gate(
            name, GATES[name][1], verdict, (value, low, high), 0.0, task, test.n, enough
        )
    if not found:
        return GateFacts(name, True, "No task has a baseline to compare with.", None, 0.0)
    return deciding(found, at_most=False)


def _between(comparisons: Comparisons, first: str, second: str) -> dict[str, Comparison]:
    """The comparison of two models, by task."""
    return {
        task: found
        for task, of in comparisons.items()
        for found in of
        if (found.first, found.second) == (first, second)
    }


def _gate(
    name: str,
    asks: str,
    verdict: str,
    figures: tuple[float, float, float],
    limit: float,
    task: str,
    n: int | None,
    enough: int | None,
) -> GateFacts:
    value, low, high = figures
    if verdict == UNPROVEN and n:
        errs = name == "calibrated"
        what, over = "answer" if errs else "test example", errs and value > limit
        asks = f"{asks} {too_few(n, what, limit, enough, over=over)}"
    unproven = verdict == UNPROVEN
    return GateFacts(
        name,
        verdict != MISSED,
        asks,
        value,
        limit,
        task,
        {task: value},
        low=low,
        high=high,
        proven=not unproven,
        n=n,
        enough=enough if unproven else None,
    )


def too_few(n: int, what: str, limit: float, enough: int | None, *, over: bool) -> str:
    """How many would tell, where the figure stays what it is."""
    if over:
        would = "the figure is over it, which chance may explain"
    elif enough and enough > n:
        would = f"about {about(enough):,} would, if the figure stays"
    else:
        would = "the figure lies so close to it that no number would, if it stays"
    return f"{n:,} {what}{'s' if n != 1 else ''} can't test a limit of {number(limit)}: {would}."


def deciding(found: Mapping[str, GateFacts], *, at_most: bool = True) -> GateFacts:
    """The gate of the task that keeps least to its limit, with the values of all."""

    def rank(gate: GateFacts) -> tuple[int, float]:
        assert gate.value is not None and gate.limit is not None  # noqa: S101 - see `_gate`
        spare = gate.limit - gate.value
        return VERDICTS.index(gate.verdict), spare if at_most else -spare

    worst = min(found.values(), key=rank)
    values = {task: float(gate.value or 0.0) for task, gate in found.items()}
    return replace(worst, by_task=values)
