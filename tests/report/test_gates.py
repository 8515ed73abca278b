import pytest

from stillhouse.config.student import Gates
from stillhouse.facts import GateFacts
from stillhouse.report.gates import GATES, gates_of, margin, verdict

LIMITS = Gates(max_accuracy_drop=0.2, max_quantization_drop=0.1, max_ece=0.1)
PASSED = GateFacts("student_within_gate", True, "loses at most 0.5", 0.25, 0.5)
ALSO = GateFacts("calibrated", True, "off by at most 0.2", 0.05, 0.2)
FAILED = GateFacts("calibrated", False, "off by at most 0.2", 0.35, 0.2)


def judged(models, right) -> list[GateFacts]:
    return gates_of({model.name: model for model in models(right)}, LIMITS)


def test_gates_bear_the_names_of_their_checks_in_one_order(models):
    found = judged(
        models,
        {"teacher": [1] * 10, "student": [1] * 8 + [0] * 2, "student_quantized": [1] * 6 + [0] * 4},
    )
    assert [gate.name for gate in found] == list(GATES)
    student, quantized, calibrated = found
    assert (student.value, student.passed) == (pytest.approx(0.2), True)  # exactly the limit
    assert (quantized.value, quantized.passed) == (pytest.approx(0.2), False)
    assert (calibrated.value, calibrated.limit, calibrated.passed) == (0.05, 0.1, True)


def test_the_worst_task_decides(models, answers):
    results = models(
        {"teacher": [1, 1], "student": [1, 1], "student_quantized": [1, 1]}, ("easy", "hard")
    )
    results[1].tasks["hard"] = answers([1, 0])
    student, quantized, _ = gates_of({model.name: model for model in results}, LIMITS)
    assert student.value == 0.5
    assert not student.passed
    assert quantized.value == 0


def test_without_a_confidence_calibration_passes_and_says_so(models, answers):
    scored = answers([1, 0], confident=False)
    *_, calibrated = judged(
        models, {"teacher": scored, "student": scored, "student_quantized": scored}
    )
    assert calibrated.passed
    assert calibrated.value is None
    assert "No task states a confidence" in calibrated.description


@pytest.mark.parametrize(
    ("gates", "outcome", "said"),
    [
        ([], "none", "No gates were set"),
        ([PASSED], "pass", "Passes its gate"),
        ([PASSED, ALSO], "pass", "Passes all 2 gates"),
        ([PASSED, FAILED], "fail", "Fails 1 of 2 gates: Calibration (missed by 0.15)"),
    ],
)
def test_verdict(gates, outcome, said):
    assert verdict(gates) == (outcome, said)


def test_margin():
    assert margin(GateFacts("g", False, "", 0.051, 0.03)) == "missed by 0.021"
    assert margin(GateFacts("g", True, "at least", 0.9, 0.8)) == "0.1 to spare"
    assert margin(GateFacts("latency", False, "ms", 1234.5, 200)) == "missed by 1,034"
    assert margin(GateFacts("g", False, "not measured", None, 0.8)) == ""
