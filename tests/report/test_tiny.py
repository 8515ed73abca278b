"""Evaluation sets that say little: no report breaks on one, and each says what it can't say."""

import itertools
import json
import re

import pytest

from stillhouse.report import findings
from stillhouse.report.findings import headline, readings
from stillhouse.report.summary import markdown_of
from stillhouse.report.verdict import value

FULL = {
    "n": 40, "answers": 7, "unseen": 0, "untested": 0, "in_training": 0,
    "unseen_answers": [], "untested_answers": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("n", "looked_at", "said"),
    [
        (3, {"n": 3}, "3 test examples tell little"),
        (1, {"n": 1}, "1 test example tell"),
        (40, {"answers": 1}, "All test examples have the same answer"),
        (
            40,
            {"unseen": 4, "unseen_answers": ["returns", "<b>"]},
            "4 of 40 test examples have an answer that no training example has (returns, <b>)",
        ),
        (
            40,
            {"untested": 9, "untested_answers": [f"c{n}" for n in range(9)]},
            "c7 and 1 more): nothing is said of them",
        ),
        (40, {"in_training": 5}, "5 of 40 test examples have the text of a training example"),
        (40, {}, "40 test examples can show a difference of about 15.0 points"),
        (6, {}, "6 test examples can show a difference of about 100.0 points"),
        (5, {}, "5 test examples can show no difference between the quantized student and its"),
        (1, {}, "1 test example can show no difference"),
    ],
)
def test_what_a_small_or_narrow_set_cannot_say_is_said(made, models, tmp_path, n, looked_at, said):
    right = {"baseline": [0] * n, "teacher": [1] * n, "student": [1] * n}
    right["student_quantized"] = [0, *[1] * (n - 1)]
    made(results=models(right), proof={"test_sets": {"digest": FULL | looked_at}}, sections={})
    page = (tmp_path / "report.html").read_text()
    for character, escaped in (("<", "&lt;"), (">", "&gt;")):
        said = said.replace(character, escaped)
    assert said in page
    assert "What this evaluation can&#39;t say" in page


def test_a_student_that_answers_all_alike_is_told_first(made, models, tmp_path):
    right = {"baseline": [0] * 9, "teacher": [1] * 9, "student": [1] * 9}
    right["student_quantized"] = [0, *[1] * 8]

    def page(**found) -> str:
        proof = {"test_sets": {"digest": FULL | found}}
        made(results=models(right), proof=proof, sections={})
        return (tmp_path / "report.html").read_text()

    said = "gives all 9 test examples of digest the same answer"
    assert said in page(n=9, alike=["student_quantized"])
    assert said not in page(n=9, alike=["baseline", "teacher"])
    assert said not in page(n=9, alike=["student_quantized"], answers=1)  # as they should be


# Examples, and how many of them teacher and student have right.
CASES = {
    "gain": (200, 120, 170),
    "small gain": (200, 150, 154),
    "loss": (200, 170, 120),
    "small loss": (200, 154, 150),
    "tie": (200, 150, 150),
    "one example, right": (1, 1, 1),
    "one example, lost": (1, 1, 0),
    "one example, gained": (1, 0, 1),
    "all wrong": (40, 0, 0),
    "all right": (40, 40, 40),
}
BASELINES = {"below": 0.2, "same": None, "above": 1.0}


@pytest.mark.parametrize(
    ("case", "baseline"), [*itertools.product(CASES, BASELINES)], ids=lambda x: str(x)
)
def test_no_sentence_contradicts_another(made, models, tmp_path, case, baseline):
    n, teacher, student = CASES[case]
    share = BASELINES[baseline]
    simple = student if share is None else int(n * share)

    def of(many: int) -> list[int]:
        return [1] * many + [0] * (n - many)

    right = {"baseline": of(simple), "teacher": of(teacher)}
    students = dict.fromkeys(("student", "student_quantized"), of(student))
    made(results=models(right | students), sections={})
    found = json.loads((tmp_path / "evaluation.json").read_text())
    gates = {gate["name"]: gate for gate in found["gates"]}
    first, read, summary = headline(found), readings(found, "digest"), markdown_of(tmp_path)
    (against_teacher,) = (
        said for said in read if re.search("quantized student.* the teacher", said)
    )
    # A loss is no gain, and no figure above the whole is kept.
    assert not re.search(r"loses -|gains -|keeps 1\d\d\.\d%", summary)
    assert ("keeps all" in first or "has nothing right" in first) == (student >= teacher)
    told = "more than chance" in against_teacher
    assert ("chance may explain" in first.partition(" keeps ")[2]) == (
        not told and student != teacher
    )
    if told:
        assert ("more often" in against_teacher) == (student > teacher)
    # A gate and the sentence about the same two models say the same of chance.
    gate = gates["beats_baseline"]
    assert (gate["verdict"] == "missed") == ("doesn't beat" in first) == (student <= simple)
    beats = first.partition(" keeps ")[0]
    assert (gate["verdict"] == "unproven") == ("beats" in beats and "chance may explain" in beats)
    lost = gates["student_within_gate"]
    assert lost["low"] <= lost["value"] <= lost["high"]
    (shown,) = (value(g) for g in findings.gates(found) if g.name == "student_within_gate")
    assert shown.startswith("gains" if student > teacher else "loses" if student < teacher else "0")
    if n == 1:
        assert "1 test examples" not in summary
        assert lost["verdict"] != "passed"
