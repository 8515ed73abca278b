"""What the report says of confidence and the cascade."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from stillhouse.evaluate.cascade import cascade
from stillhouse.evaluate.trust import all_worth, served
from stillhouse.report.results import ModelResult
from stillhouse.report.summary import markdown_of
from stillhouse.report.trust import trust_readings
from stillhouse.tasks.classification_report import scored
from stillhouse.tasks.results import Scored

N = 120


def answers(n: int, seed: int, skill: float = 0.0) -> Scored:
    random = np.random.default_rng(seed)
    sure = random.uniform(0.5, 1.0, n)
    gold = np.arange(n) % 2
    said = np.where(random.random(n) < sure + skill, gold, 1 - gold)
    probabilities = np.full((n, 2), 1 - sure[:, None])
    probabilities[np.arange(n), said] = sure
    return scored(["a", "b"], gold, probabilities)


def proof(n: int, validation: int, skill: float, precision: float) -> tuple[Any, dict[str, Any]]:
    names = ("teacher", "student", "student_quantized")
    test = {m: {"digest": answers(n, 1, skill if m == "teacher" else 0)} for m in names}
    held = {m: {"digest": answers(validation, 2, skill if m == "teacher" else 0)} for m in names}
    families = {"digest": [str(i) for i in range(n)]}
    worth = all_worth(test, test, held, families, precision)
    for found in worth["digest"].values():
        found["fitted"] = served({"temperature": 1.3 if validation >= 10 else None}, found)
    own = worth["digest"]["student_quantized"]["threshold"]
    pair = cascade(
        test["student_quantized"]["digest"],
        test["teacher"]["digest"],
        (held["student_quantized"]["digest"], held["teacher"]["digest"]),
        families["digest"],
        cost_ratio=0.1,
        threshold=own["value"],
    )
    results = [ModelResult(m, 1000 if m == "teacher" else 100, 10, test[m]) for m in names]
    return results, {"calibration": worth, "cascade": {"digest": pair}}


def said_of(made: Any, folder: Any, *how: Any) -> tuple[str, dict[str, Any]]:
    results, found = proof(*how)
    made(results=results, proof=found, sections={})
    evaluation = json.loads((folder / "evaluation.json").read_text())
    return " ".join(trust_readings(evaluation, "digest")), evaluation


def test_the_page_and_its_summary_say_what_confidence_is_worth(made, tmp_path):
    said, evaluation = said_of(made, tmp_path, N, 200, 0.3, 0.8)
    assert "by a temperature of 1.30: on these it was surer than it is right" in said
    assert "calibration error is as before" in said
    assert "From a confidence of 0." in said
    assert "at least 80% of the quantized student's answers are right" in said
    assert "Recommended: below a confidence of" in said
    assert "It costs" in said
    page = (tmp_path / "report.html").read_text()
    assert "Calibration and cascade" in page
    assert page.count("data:image/svg+xml") == 2
    summary = markdown_of(tmp_path)
    assert "Recommended: below a confidence of" in summary
    assert "| ECE-15" in summary
    gate = next(g for g in evaluation["gates"] if g["name"] == "calibrated")
    assert [gate["low"], gate["high"]] == pytest.approx(
        evaluation["calibration"]["digest"]["student_quantized"]["after"]["ece_ci"]
    )


def test_a_teacher_that_gains_nothing_is_not_recommended(made, tmp_path):
    said, _ = said_of(made, tmp_path, N, 200, 0.0, 0.99)
    assert "Escalating to the teacher gains nothing" in said
    assert "Recommended" not in said
    assert "From no confidence on is it shown that 99%" in said


def test_three_examples_conclude_nothing(made, tmp_path):
    said, evaluation = said_of(made, tmp_path, 3, 3, 0.0, 0.95)
    assert "only 3 validation examples" in said
    assert "With fewer than 20 validation examples no threshold is recommended" in said
    gate = next(g for g in evaluation["gates"] if g["name"] == "calibrated")
    assert not gate["proven"] or not gate["passed"]
