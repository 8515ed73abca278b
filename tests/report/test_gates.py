from dataclasses import replace

import pytest

from stillhouse.config.student import Gates, TaskGates
from stillhouse.facts import GateFacts
from stillhouse.report.gates import GATES, gates_of, margin, mark, title, verdict
from stillhouse.report.results import compare

LIMITS = Gates(max_score_drop=0.2, max_quantization_drop=0.1, max_ece=0.1)
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
    student, quantized, calibrated, baseline = found
    assert (baseline.value, baseline.passed) == (None, True)
    assert (student.value, student.passed) == (pytest.approx(0.2), True)  # exactly the limit
    assert (quantized.value, quantized.passed) == (pytest.approx(0.2), False)
    assert (calibrated.value, calibrated.limit, calibrated.passed) == (0.05, 0.1, True)


def test_the_worst_task_decides(models, answers):
    results = models(
        {"teacher": [1, 1], "student": [1, 1], "student_quantized": [1, 1]}, ("easy", "hard")
    )
    results[1].tasks["hard"] = answers([1, 0])
    student, quantized, *_ = gates_of({model.name: model for model in results}, LIMITS)
    assert student.value == 0.5
    assert not student.passed
    assert quantized.value == 0


def test_a_task_may_have_limits_of_its_own(models, answers):
    results = models(
        {"teacher": [1] * 4, "student": [1] * 4, "student_quantized": [1] * 4}, ("easy", "hard")
    )
    results[1].tasks["hard"] = answers([1, 1, 1, 0])
    results[1].tasks["easy"] = answers([1, 1, 0, 1])
    by_name = {model.name: model for model in results}
    lenient = LIMITS.model_copy(update={"tasks": {"hard": TaskGates(max_score_drop=0.3)}})
    student, quantized, *_ = gates_of(by_name, lenient)
    # Both lose 0.25: what is much for the one is allowed to the other.
    assert (student.task, student.limit, student.passed) == ("easy", 0.2, False)
    assert student.by_task == {"easy": 0.25, "hard": 0.25}
    assert title(student) == "Student on easy"
    assert quantized.limit == 0.1  # what a task doesn't say is the project's
    results[1].tasks["easy"] = answers([1, 1, 1, 1])
    student, *_ = gates_of(by_name, lenient)
    assert (student.value, student.limit, student.passed) == (0.25, 0.3, True)
    assert verdict([student])[1] == "Passes its gate"


@pytest.mark.parametrize(
    ("ours", "theirs", "passed", "chance"),
    [
        ([1] * 20, [1] * 10 + [0] * 10, True, False),
        ([1] * 20, [1] * 18 + [0] * 2, True, True),
        ([1] * 18 + [0] * 2, [1] * 20, False, True),
        ([1] * 20, [1] * 20, False, False),
    ],
)
def test_the_quantized_student_must_beat_the_baseline(models, ours, theirs, passed, chance):
    results = models(
        {"baseline": theirs, "teacher": ours, "student": ours, "student_quantized": ours}
    )
    *_, gate = gates_of({m.name: m for m in results}, LIMITS, compare(results))
    assert gate.name == "beats_baseline"
    assert gate.passed == passed
    assert gate.value == pytest.approx((sum(ours) - sum(theirs)) / 20)
    assert gate.limit == 0
    assert ("Chance may explain the difference on digest" in gate.description) == chance


def test_without_a_confidence_calibration_passes_and_says_so(models, answers):
    scored = answers([1, 0], confident=False)
    *_, calibrated, _ = judged(
        models, {"teacher": scored, "student": scored, "student_quantized": scored}
    )
    assert calibrated.passed
    assert calibrated.value is None
    assert "No task states a confidence" in calibrated.description


@pytest.mark.parametrize(
    ("interval", "passed", "proven", "said"),
    [
        ([0.0, 0.09], True, True, "0.05 to spare"),
        ([0.02, 0.2], True, False, "too few to tell"),
        ([0.11, 0.2], False, True, "missed by 0.05"),
    ],
)
def test_calibration_is_judged_by_its_interval(models, interval, passed, proven, said):
    value = 0.15 if not passed else 0.05
    results = models({"teacher": [1, 0], "student": [1, 0], "student_quantized": [1, 0]})
    results[2].tasks["digest"] = replace(results[2].tasks["digest"], calibration_error=value)
    trust = {"digest": {"ece_ci": interval, "n": 40}}
    *_, gate, _ = gates_of({m.name: m for m in results}, LIMITS, None, trust)
    assert (gate.passed, gate.proven, margin(gate)) == (passed, proven, said)
    assert (gate.low, gate.high) == tuple(interval)
    assert ("40 answers are too few" in gate.description) == (not proven)
    assert mark(gate) == {(True, True): "✓", (True, False): "?", (False, True): "✗"}[passed, proven]


def test_the_task_that_keeps_least_to_its_limit_decides_calibration(models):
    right = {"teacher": [1, 0], "student": [1, 0], "student_quantized": [1, 0]}
    results = {m.name: m for m in models(right, ("sure", "open", "missed"))}
    intervals = {"sure": [0.0, 0.05], "open": [0.0, 0.3], "missed": [0.2, 0.3]}
    trust = {task: {"ece_ci": ends, "n": 40} for task, ends in intervals.items()}
    *_, gate, _ = gates_of(results, LIMITS, None, trust)
    assert (gate.task, gate.passed) == ("missed", False)


OPEN = GateFacts("calibrated", True, "", 0.05, 0.2, low=0.0, high=0.3, proven=False)


@pytest.mark.parametrize(
    ("gates", "outcome", "said"),
    [
        ([PASSED, OPEN], "open", "Passes 1 of 2 gates; too few examples to tell: Calibration"),
        (
            [FAILED, OPEN],
            "fail",
            "Fails 1 of 2 gates: Calibration (missed by 0.15); too few examples to tell: "
            "Calibration",
        ),
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
