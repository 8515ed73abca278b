"""The limits that a project sets beforehand, and whether a student keeps to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stillhouse.config.student import Gates
from stillhouse.facts import GateFacts
from stillhouse.tasks.results import BASELINE
from stillhouse.wording import number

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
# A drop of exactly the limit passes, however the subtraction rounds.
ROUNDING = 1e-9


def gates_of(
    results: Mapping[str, ModelResult],
    limits: Gates,
    comparisons: Mapping[str, Sequence[Comparison]] | None = None,
    trust: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[GateFacts]:
    """The gates on teacher, student and quantized student, in the order of GATES.

    The task that keeps least to its limit decides. Calibration passes where no kind of task states
    a confidence, and so does the comparison with the baseline where there is none; whether that may
    be chance is told by `comparisons`, by task, and how far calibration may be off by `trust`: by
    task the figures of `metrics.calibration_error.Trust`.
    """
    student, quantized = results["student"], results["student_quantized"]
    errors = {
        task: scored.calibration_error
        for task, scored in quantized.tasks.items()
        if scored.calibration_error is not None
    }
    return [
        _at_most(
            "student_within_gate",
            _drops(results["teacher"], student),
            limits,
            "max_score_drop",
        ),
        _at_most(
            "quantized_within_gate", _drops(student, quantized), limits, "max_quantization_drop"
        ),
        _calibrated(errors, limits, trust or {})
        if errors
        else GateFacts(
            "calibrated",
            True,
            "No task states a confidence: there is nothing to calibrate.",
            None,
            limits.max_ece,
        ),
        _beats_baseline(results.get(BASELINE), quantized, comparisons or {}),
    ]


def _drops(reference: ModelResult, other: ModelResult) -> dict[str, float]:
    return {
        task: scored.score - other.tasks[task].score for task, scored in reference.tasks.items()
    }


def _at_most(name: str, values: Mapping[str, float], limits: Gates, setting: str) -> GateFacts:
    """Values by task against the limits of that setting."""
    worst = max(values, key=lambda task: values[task] - limits.limit(setting, task))
    value, limit = values[worst], limits.limit(setting, worst)
    passed = value <= limit + ROUNDING
    return GateFacts(name, passed, GATES[name][1], value, limit, worst, dict(values))


def _calibrated(
    errors: Mapping[str, float], limits: Gates, trust: Mapping[str, Mapping[str, Any]]
) -> GateFacts:
    """Decided by the interval of the error: a few examples show a large one of any model."""
    name = "calibrated"
    found: list[tuple[bool, bool, float, GateFacts]] = []
    for task, value in errors.items():
        limit = limits.limit("max_ece", task)
        low, high = trust[task]["ece_ci"] if task in trust else (value, value)
        says = f"{GATES[name][1]} 95% interval: {low:.3f} to {high:.3f}."
        passed, proven = low <= limit + ROUNDING, high <= limit + ROUNDING
        if passed and not proven:
            says += f" {trust[task]['n']:,} answers are too few to tell."
        gate = GateFacts(
            name,
            passed,
            says if task in trust else GATES[name][1],
            value,
            limit,
            task,
            dict(errors),
            low=low if task in trust else None,
            high=high if task in trust else None,
            proven=proven or not passed,
        )
        found.append((passed, gate.proven, limit - value, gate))
    return min(found, key=lambda x: x[:3])[3]


def _beats_baseline(
    baseline: ModelResult | None,
    quantized: ModelResult,
    comparisons: Mapping[str, Sequence[Comparison]],
) -> GateFacts:
    name = "beats_baseline"
    leads = {
        task: quantized.tasks[task].score - scored.score
        for task, scored in (baseline.tasks if baseline else {}).items()
        if task in quantized.tasks
    }
    if not leads:
        return GateFacts(name, True, "No task has a baseline to compare with.", None, 0.0)
    doubtful = [
        task
        for task, lead in leads.items()
        if lead and may_be_chance(comparisons.get(task, ()), quantized.name, BASELINE)
    ]
    says = GATES[name][1]
    if doubtful:
        says += f" Chance may explain the difference on {', '.join(doubtful)}."
    worst = min(leads, key=lambda task: leads[task])
    return GateFacts(name, leads[worst] > ROUNDING, says, leads[worst], 0.0, worst, leads)


def may_be_chance(comparisons: Sequence[Comparison], first: str, second: str) -> bool:
    """Whether the two models were compared, and no difference shows that chance can't explain."""
    return any(
        not found.test.significant
        for found in comparisons
        if (found.first, found.second) == (first, second)
    )


def title(gate: GateFacts) -> str:
    """What a gate is called; with the task that decides, where there are several."""
    known = GATES[gate.name][0] if gate.name in GATES else gate.name
    return f"{known} on {gate.task}" if gate.task and len(gate.by_task) > 1 else known


def mark(gate: GateFacts) -> str:
    """A tick, a cross, or a question mark."""
    return "?" if not gate.proven else "✓" if gate.passed else "✗"


def margin(gate: GateFacts) -> str:
    """How far `value` lies from the limit, in words; nothing where it was not measured."""
    if gate.value is None or gate.limit is None:
        return ""
    if not gate.proven:
        return "too few to tell"
    gap = number(abs(gate.value - gate.limit), digits=2)
    return f"{gap} to spare" if gate.passed else f"missed by {gap}"


def verdict(gates: Sequence[GateFacts]) -> tuple[str, str]:
    """("pass" | "fail" | "open" | "none", what to say in one line); "open" where none is missed,
    and there are too few examples to tell of some."""
    failed = [
        f"{title(gate)} ({margin(gate)})" if margin(gate) else title(gate)
        for gate in gates
        if not gate.passed
    ]
    if not gates:
        return "none", "No gates were set"
    open_ones = ", ".join(title(gate) for gate in gates if not gate.proven)
    doubt = f"; too few examples to tell: {open_ones}" if open_ones else ""
    if failed:
        return "fail", f"Fails {len(failed)} of {len(gates)} gates: {', '.join(failed)}{doubt}"
    if open_ones:
        count = sum(gate.proven for gate in gates)
        return "open", f"Passes {count} of {len(gates)} gates{doubt}"
    return "pass", f"Passes all {len(gates)} gates" if len(gates) > 1 else "Passes its gate"
