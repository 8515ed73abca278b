"""The limits that a project sets beforehand, and whether a student keeps to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stillhouse.config.student import Gates
from stillhouse.facts import GateFacts
from stillhouse.report.results import ModelResult
from stillhouse.wording import number

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
}


def gates_of(results: Mapping[str, ModelResult], limits: Gates) -> list[GateFacts]:
    """The gates on teacher, student and quantized student, in the order of GATES; the worst task
    decides. Calibration passes where no kind of task states a confidence."""
    student, quantized = results["student"], results["student_quantized"]
    errors = [
        scored.calibration_error
        for scored in quantized.tasks.values()
        if scored.calibration_error is not None
    ]
    return [
        _at_most(
            "student_within_gate",
            _worst_drop(results["teacher"], student),
            limits.max_accuracy_drop,
        ),
        _at_most(
            "quantized_within_gate",
            _worst_drop(student, quantized),
            limits.max_quantization_drop,
        ),
        _at_most("calibrated", max(errors), limits.max_ece)
        if errors
        else GateFacts(
            "calibrated",
            True,
            "No task states a confidence: there is nothing to calibrate.",
            None,
            limits.max_ece,
        ),
    ]


def _at_most(name: str, value: float, limit: float) -> GateFacts:
    # A drop of exactly the limit passes, however the subtraction rounds.
    return GateFacts(name, value <= limit + 1e-9, GATES[name][1], value, limit)


def _worst_drop(reference: ModelResult, other: ModelResult) -> float:
    return max(reference.tasks[task].score - other.tasks[task].score for task in reference.tasks)


def title(gate: GateFacts) -> str:
    return GATES[gate.name][0] if gate.name in GATES else gate.name


def margin(gate: GateFacts) -> str:
    """How far `value` lies from the limit, in words; nothing where it was not measured."""
    if gate.value is None or gate.limit is None:
        return ""
    gap = number(abs(gate.value - gate.limit), digits=2)
    return f"{gap} to spare" if gate.passed else f"missed by {gap}"


def verdict(gates: Sequence[GateFacts]) -> tuple[str, str]:
    """("pass" | "fail" | "none", what to say in one line)."""
    failed = [
        f"{title(gate)} ({margin(gate)})" if margin(gate) else title(gate)
        for gate in gates
        if not gate.passed
    ]
    if not gates:
        return "none", "No gates were set"
    if failed:
        return "fail", f"Fails {len(failed)} of {len(gates)} gates: {', '.join(failed)}"
    return "pass", f"Passes all {len(gates)} gates" if len(gates) > 1 else "Passes its gate"
