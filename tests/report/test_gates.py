from dataclasses import replace

import pytest

from stillhouse.config.student import Gates, TaskGates
from stillhouse.facts import GateFacts
from stillhouse.judged import MISSED, NOT_MEASURED, PASSED, UNPROVEN
from stillhouse.report.gates import GATES, gates_of
from stillhouse.report.results import compare
from stillhouse.report.verdict import interval, margin, mark, rows, title, value, verdict

LIMITS = Gates(max_score_drop=0.2, max_quantization_drop=0.1, max_ece=0.1)
KEPT = GateFacts("student_within_gate", True, "loses at most 0.5", 0.25, 0.5)
ALSO = GateFacts("calibrated", True, "off by at most 0.2", 0.05, 0.2)
FAILED = GateFacts("calibrated", False, "off by at most 0.2", 0.35, 0.2)


def of(results, limits=LIMITS, trust=None) -> list[GateFacts]:
    return gates_of({m.name: m for m in results}, limits, compare(results), trust)


def out_of(n: int, right: int) -> list[int]:
    return [1] * right + [0] * (n - right)


def three(models, teacher, student, quantized, tasks=("digest",)):
    right = {"teacher": teacher, "student": student, "student_quantized": quantized}
    return models(right, tasks)


def test_gates_bear_the_names_of_their_checks_in_one_order(models):
    found = of(three(models, out_of(200, 200), out_of(200, 160), out_of(200, 120)))
    assert [gate.name for gate in found] == list(GATES)
    student, quantized, calibrated, baseline = found
    assert (baseline.value, baseline.verdict) == (None, NOT_MEASURED)
    # Exactly the limit is not missed; its interval reaches beyond it.
    assert (student.value, student.verdict) == (pytest.approx(0.2), UNPROVEN)
    assert (quantized.value, quantized.verdict) == (pytest.approx(0.2), MISSED)
    assert (calibrated.value, calibrated.limit, calibrated.passed) == (0.05, 0.1, True)


@pytest.mark.parametrize(
    ("n", "lost", "said"),
    [
        (2000, 100, PASSED),  # 5 points of 20, of many
        (60, 3, PASSED),
        (40, 5, UNPROVEN),  # 12.5 points: 20 may be true
        (1, 0, UNPROVEN),
        (5, 0, UNPROVEN),  # no difference at all, of five
        (5, 5, MISSED),
        (400, 120, MISSED),
    ],
)
def test_a_gate_is_passed_by_its_interval_and_missed_by_its_value(models, n, lost, said):
    student, *_ = of(three(models, [1] * n, out_of(n, n - lost), out_of(n, n - lost)))
    assert student.verdict == said
    assert student.value == pytest.approx(lost / n)
    assert student.low <= student.value <= student.high
    assert student.n == n
    assert (student.enough is not None) == (said == UNPROVEN)
    if said == UNPROVEN:
        examples = f"{n} test examples" if n > 1 else "1 test example"
        assert f"{examples} can't test a limit of 0.2: about" in student.description
        assert student.enough > n


def test_examples_of_a_family_count_as_one(models, given):
    results = three(models, [1] * 100, out_of(100, 90), out_of(100, 90))
    families = {"digest": [f"f{i // 10}" for i in range(100)]}
    apart, together = (
        gates_of({m.name: m for m in results}, LIMITS, compare(results, of))[0]
        for of in (None, families)
    )
    assert apart.value == together.value == pytest.approx(0.1)
    assert (apart.verdict, together.verdict) == (PASSED, UNPROVEN)
    assert together.high > apart.high


def test_so_many_examples_as_are_named_would_tell(models):
    student, *_ = of(three(models, [1] * 40, out_of(40, 35), out_of(40, 35)))
    n = student.enough
    again, *_ = of(three(models, [1] * n, out_of(n, round(n * 0.875)), [1] * n))
    assert again.high == pytest.approx(0.2, abs=0.02)


def test_the_worst_task_decides(models, answers):
    results = three(models, [1] * 40, [1] * 40, [1] * 40, ("easy", "hard"))
    results[1].tasks["hard"] = answers(out_of(40, 20))
    student, *_ = of(results)
    assert (student.value, student.task, student.verdict) == (0.5, "hard", MISSED)
    # Of what is not proven, though it lost less.
    results = three(models, [1] * 900, out_of(900, 800), [1] * 900, ("many", "few"))
    for model in results:
        model.tasks["few"] = answers([1] * 5)
    student, *_ = of(results)
    assert (student.task, student.value, student.verdict) == ("few", 0, UNPROVEN)


def test_a_task_may_have_limits_of_its_own(models, answers):
    results = three(models, [1] * 400, [1] * 400, [1] * 400, ("easy", "hard"))
    results[1].tasks["hard"] = results[1].tasks["easy"] = answers(out_of(400, 300))
    lenient = LIMITS.model_copy(update={"tasks": {"hard": TaskGates(max_score_drop=0.35)}})
    student, quantized, *_ = of(results, lenient)
    # Both lose 0.25: what is much for the one is allowed to the other.
    assert (student.task, student.limit, student.passed) == ("easy", 0.2, False)
    assert student.by_task == {"easy": 0.25, "hard": 0.25}
    assert title(student) == "Student on easy"
    assert quantized.limit == 0.1  # what a task doesn't say is the project's
    results[1].tasks["easy"] = answers([1] * 400)
    student, *_ = of(results, lenient)
    assert (student.task, student.limit, student.verdict) == ("hard", 0.35, PASSED)
    assert verdict([student])[1] == "Fit for release: passes its gate"


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (20, 10, PASSED),
        (20, 18, UNPROVEN),
        (18, 20, MISSED),
        (20, 20, MISSED),
        (0, 0, MISSED),
    ],
)
def test_the_quantized_student_must_beat_the_baseline(models, ours, theirs, said):
    ours, theirs = out_of(20, ours), out_of(20, theirs)
    results = models(
        {"baseline": theirs, "teacher": ours, "student": ours, "student_quantized": ours}
    )
    *_, gate = of(results)
    assert gate.name == "beats_baseline"
    assert gate.verdict == said
    assert gate.value == pytest.approx((sum(ours) - sum(theirs)) / 20)
    assert gate.limit == 0
    assert ("can't test a limit of 0: about" in gate.description) == (said == UNPROVEN)


def test_without_a_confidence_there_is_nothing_to_calibrate(models, answers):
    scored = answers([1, 0], confident=False)
    *_, calibrated, _ = of(three(models, scored, scored, scored))
    assert calibrated.passed
    assert calibrated.verdict == NOT_MEASURED
    assert "No task has answers that are right or wrong" in calibrated.description


@pytest.mark.parametrize(
    ("value", "ends", "expected", "said"),
    [
        (0.05, [0.0, 0.09], PASSED, "0.05 to spare"),
        (0.05, [0.0, 0.2], UNPROVEN, "0.05 to spare"),
        (0.15, [0.02, 0.2], UNPROVEN, "over by 0.05; chance may explain it"),
        (0.15, [0.11, 0.2], MISSED, "missed by 0.05"),
    ],
)
def test_of_calibration_what_chance_adds_is_taken_off(models, value, ends, expected, said):
    results = three(models, [1, 0], [1, 0], [1, 0])
    results[2].tasks["digest"] = replace(results[2].tasks["digest"], calibration_error=value)
    *_, gate, _ = of(results, trust={"digest": {"ece_ci": ends, "n": 40}})
    assert (gate.verdict, margin(gate)) == (expected, said)
    assert (gate.low, gate.high) == tuple(ends)
    assert ("40 answers can't test" in gate.description) == (expected == UNPROVEN)
    assert ("which chance may explain" in gate.description) == (said.startswith("over"))
    assert mark(gate) == {PASSED: "✓", UNPROVEN: "?", MISSED: "✗"}[expected]


def test_the_task_that_keeps_least_to_its_limit_decides_calibration(models):
    results = three(models, [1, 0], [1, 0], [1, 0], ("sure", "open", "missed"))
    intervals = {"sure": [0.0, 0.05], "open": [0.0, 0.3], "missed": [0.2, 0.3]}
    trust = {task: {"ece_ci": ends, "n": 40} for task, ends in intervals.items()}
    *_, gate, _ = of(results, trust=trust)
    assert (gate.task, gate.passed) == ("missed", False)


OPEN = replace(ALSO, low=0.0, high=0.3, proven=False, n=40, enough=150)
NOTHING = GateFacts("beats_baseline", True, "No task has a baseline.", None, 0.0)


@pytest.mark.parametrize(
    ("gates", "outcome", "said"),
    [
        (
            [KEPT, OPEN],
            "open",
            "Can't be told yet: none of 2 gates is missed, 1 is passed; too few examples to tell: "
            "Calibration (about 110 more would tell)",
        ),
        (
            [FAILED, OPEN],
            "fail",
            "Held back: misses 1 of 2 gates: Calibration (missed by 0.15); too few examples to "
            "tell: Calibration",
        ),
        ([], "none", "Nothing was judged: no gate was set or measured"),
        ([NOTHING], "none", "Nothing was judged: no gate was set or measured"),
        ([KEPT], "pass", "Fit for release: passes its gate"),
        ([KEPT, ALSO], "pass", "Fit for release: passes all 2 gates"),
        ([KEPT, NOTHING], "pass", "Fit for release: passes its gate; not measured: Baseline"),
        (
            [KEPT, FAILED],
            "fail",
            "Held back: misses 1 of 2 gates: Calibration (missed by 0.15)",
        ),
    ],
)
def test_verdict(gates, outcome, said):
    assert verdict(gates) == (outcome, said)


def test_margin():
    assert margin(GateFacts("g", False, "", 0.051, 0.03)) == "missed by 0.021"
    assert margin(GateFacts("g", True, "at least", 0.9, 0.8)) == "0.1 to spare"
    assert margin(GateFacts("g", False, "ms", 1234.5, 200)) == "missed by 1,034"
    assert margin(GateFacts("g", False, "not measured", None, 0.8)) == ""
    assert margin(GateFacts("beats_baseline", False, "a tie", 0.0, 0.0)) == "no higher"


@pytest.mark.parametrize(
    ("lost", "ends", "said", "reach"),
    [
        (0.04, (0.01, 0.07), "loses 0.04", "0.01 to 0.07 lost"),
        (-0.04, (-0.07, -0.01), "gains 0.04", "0.01 to 0.07 gained"),
        (-0.01, (-0.03, 0.02), "gains 0.01", "0.02 lost to 0.03 gained"),
        (0.0, (-0.02, 0.02), "0", "0.02 lost to 0.02 gained"),
        (5e-17, (0, 0), "0", "0 to 0 lost"),
    ],
)
def test_a_gain_is_called_a_gain(lost, ends, said, reach):
    gate = GateFacts("student_within_gate", True, "", lost, 0.05, low=ends[0], high=ends[1])
    assert (value(gate), interval(gate)) == (said, reach)
    assert rows([gate])[0][:3] == ["Student", said, reach]
