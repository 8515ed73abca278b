"""What confidence is worth, and the student with its teacher behind it, from made-up answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stillhouse.evaluate.cascade import cascade
from stillhouse.evaluate.trust import all_worth, served, thinned, worth
from stillhouse.tasks.classification_report import scored
from stillhouse.tasks.generative_scores import score_answers, score_extraction
from stillhouse.tasks.results import Scored

LABELS = ["a", "b"]


def model(n: int, sure: Any, right: Any) -> Scored:
    """Answers of two classes with these confidences, right where asked."""
    sure, right = np.broadcast_to(sure, n), np.broadcast_to(right, n)
    gold = np.arange(n) % 2
    said = np.where(right, gold, 1 - gold)
    probabilities = np.full((n, 2), 1 - sure[:, None])
    probabilities[np.arange(n), said] = sure
    return scored(LABELS, gold, probabilities)


def split(n: int, seed: int) -> tuple[Scored, Scored]:
    """A student that is right as often as it is sure, and a teacher that is right 9 times of 10."""
    random = np.random.default_rng(seed)
    sure = random.uniform(0.5, 1.0, n)
    return model(n, sure, random.random(n) < sure), model(n, 0.9, random.random(n) < 0.9)


FAMILIES = [str(i) for i in range(400)]


def test_what_confidence_is_worth_before_and_after() -> None:
    student, _ = split(400, 0)
    before = model(400, np.sqrt(student.confidence), student.right)  # type: ignore[arg-type]
    validation, _ = split(300, 1)
    found = worth(student, before, validation, FAMILIES, 0.8)
    assert found is not None
    assert found["after"]["ece"] < found["before"]["ece"]
    assert (found["validation"], found["of_answers"]) == (300, True)
    threshold = found["threshold"]
    assert threshold["value"] > 0.5
    assert threshold["test"]["precision_ci"][1] > 0.8
    assert found["risk_coverage"][-1][1:] == [1.0, pytest.approx(1 - student.score)]
    assert 0 < found["aurc"] < 1 - student.score
    assert served({"temperature": 1.5}, found) == {
        "temperature": 1.5,
        "threshold": threshold["value"],
    }
    assert served(None, None) == {"temperature": None, "threshold": None}


def test_nobody_serves_a_baseline_and_nothing_is_said_without_a_confidence() -> None:
    student, teacher = split(40, 0)
    silent = score_answers(["x"] * 40, ["x"] * 40)
    answers = {"baseline": {"t": teacher}, "teacher": {"t": silent}, "student": {"t": student}}
    found = all_worth(answers, {}, {}, {"t": FAMILIES[:40]}, 0.9)
    assert set(found["t"]) == {"student"}
    assert found["t"]["student"]["threshold"] is None  # no validation answers


def test_curves_keep_their_ends() -> None:
    kept = thinned(range(1000))
    assert (kept[0], kept[-1], len(kept)) == (0, 999, 40)


def pair(student: Scored, teacher: Scored, held: Any, **settings: Any) -> dict[str, Any]:
    given = {"cost_ratio": 0.1, "threshold": None, **settings}
    found = cascade(student, teacher, held, FAMILIES[: student.n], **given)
    assert found is not None
    return found


def test_a_better_teacher_answers_what_the_student_is_not_sure_of() -> None:
    student, teacher = split(400, 2)
    found = pair(student, teacher, split(400, 3), threshold=0.8, person_cost=30)
    first, last = found["curve"][0], found["curve"][-1]
    assert (first["escalated"], first["score"], first["cost"]) == (0, student.score, 0.1)
    assert (last["escalated"], last["score"]) == (1, teacher.score)
    assert last["cost"] == pytest.approx(1.1)
    point = found["recommended"]
    assert 0.2 < point["test"]["escalated"] < 1
    assert point["test"]["score"] >= teacher.score > student.score
    assert point["test"]["gain"]["significant"]
    best = max(p["score"] for p in pair(*split(400, 3), None)["curve"])
    assert point["validation"]["score"] >= best - 0.011
    person = found["person"]
    assert person["score"] > point["test"]["score"]
    assert person["cost"] == pytest.approx(0.1 + 30 * person["escalated"])
    assert found["unsure"]["teacher_right"] > found["unsure"]["student_right"]


def test_a_teacher_that_is_no_better_is_asked_nothing() -> None:
    student, _ = split(200, 4)
    found = pair(student, student, (student, student))
    assert found["recommended"]["validation"]["escalated"] == 0
    assert found["recommended"]["test"]["gain"]["difference"] == 0
    few, other = split(19, 5)
    assert pair(few, other, (few, other))["recommended"] is None


def test_pairs_of_written_answers_are_scored_by_their_own_metric() -> None:
    gold = [{"item": "pump"}, {"item": "valve"}] * 15
    wrong = [{"item": "pump"}, {"item": "pump"}] * 15
    student = score_extraction(gold, wrong, confidence=[0.9, 0.2] * 15)
    teacher = score_extraction(gold, gold, confidence=[0.9, 0.9] * 15)
    found = pair(student, teacher, (student, teacher), threshold=0.5)
    assert found["recommended"]["test"]["score"] == 1.0
    assert found["recommended"]["test"]["escalated"] == 0.5
    assert found["person"]["score"] == 1.0
    summaries = score_answers(["one two"] * 4, ["one"] * 4, confidence=[0.1] * 4)
    assert pair(summaries, summaries, None)["curve"][0]["score"] == pytest.approx(2 / 3)
