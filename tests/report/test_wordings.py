"""Sentences about one thing, none, or all of them: they read well, and say no more than is so."""

from __future__ import annotations

from typing import Any

import pytest

from stillhouse.facts import GateFacts
from stillhouse.report.audit import audit_sections
from stillhouse.report.edge_cases import edge_readings
from stillhouse.report.findings import _interval
from stillhouse.report.limits import limit_readings
from stillhouse.report.page import flatten
from stillhouse.report.people import people_readings
from stillhouse.report.slices import slice_readings
from stillhouse.report.trust import table, trust_readings
from stillhouse.report.verdict import margin
from tests.report.recorded import recorded

TASKS = [{"name": "t", "headline": "accuracy"}]
TRUST = {"n": 9, "share_right": 1.0, "mean_confidence": 0.999}
TRUST |= dict.fromkeys(("ece", "ece_equal_mass", "brier", "nll"), 0.0012)
TRUST |= {f"{name}_ci": [0.0004, 0.0031] for name in ("ece", "ece_equal_mass", "brier", "nll")}


def calibration(validation: int, temperature: float | None = None, **threshold: Any) -> Any:
    found = {"wanted": 0.95, "value": None, "covered": 0, "right": 0, "bound": None, "fewest": 59}
    own = {
        "after": TRUST,
        "before": None,
        "validation": validation,
        "fitted": {"temperature": temperature},
        "threshold": found | threshold,
        "aurc": 0.0,
    }
    about = {"tasks": TASKS, "models": ["teacher", "student_quantized"]}
    return {"about": about, "calibration": {"t": {"student_quantized": own}}, "cascade": {}}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ((1, None), "there is only 1 validation example to learn from"),
        ((0, None), "there are no validation examples to learn from"),
        ((30, 1.001), "by a temperature of 1.00: on these it was as sure as it is right"),
        ((30, 1.2), "it takes at least 59 validation answers, all of them right, and there are 30"),
        ((90, 1.2), "of 90 validation answers too many that it is surest of are wrong"),
    ],
)
def test_what_was_learned_from_validation_examples(how: Any, said: str) -> None:
    assert said in " ".join(trust_readings(calibration(*how), "t"))


def test_a_threshold_that_one_answer_could_show() -> None:
    found = calibration(0, None, wanted=0.01, fewest=1)
    assert "at least 1 validation answer, if it is right, and there are 0" in str(
        trust_readings(found, "t")
    )
    shown = {"value": 0.5, "covered": 1, "right": 1, "bound": 0.05, "test": None}
    found = calibration(1, None, wanted=0.01, fewest=1, **shown)
    assert "of 1 such validation answer 1 is, at least 5.0%" in str(trust_readings(found, "t"))


def test_an_interval_has_as_many_digits_as_its_figure() -> None:
    """0.001 is not outside of an interval of "0.00 to 0.00"."""
    _, (row,) = table(calibration(30, 1.2), "t")
    assert row[2] == "0.001 (0.000–0.003)"


def gate(name: str, value: float, low: float, high: float, limit: float) -> GateFacts:
    return GateFacts(name, False, "", value, limit, "t", low=low, high=high)


def test_a_miss_that_chance_may_explain_says_so() -> None:
    lost = gate("student_within_gate", 0.2, -0.1, 0.5, 0.03)
    assert margin(lost) == "missed by 0.17; chance may explain it"
    assert margin(gate("student_within_gate", 0.2, 0.1, 0.5, 0.03)) == "missed by 0.17"
    behind = gate("beats_baseline", -0.2, -0.5, 0.1, 0.0)
    assert margin(behind) == "missed by 0.2; chance may explain it"
    assert margin(gate("beats_baseline", -0.2, -0.5, -0.1, 0.0)) == "missed by 0.2"
    assert margin(gate("beats_baseline", 0.0, -0.5, 0.1, 0.0)) == "no higher"


def test_a_difference_that_rounds_to_nothing_has_no_minus() -> None:
    assert _interval(-0.0001, 0.0) == "95% interval of the difference: +0.0 to +0.0 points"


def sliced(value: str, score: float) -> dict[str, Any]:
    own = {"score": score, "ci": [0.8, 1.0]}
    return {
        "by": "class",
        "value": value,
        "n": 30,
        "families": 30,
        "ci": [-0.1, 0.1],
        "teacher": own,
        "student_quantized": own,
        "difference": 0.0,
        "judged": True,
        "worse": False,
        "better": False,
    }


def test_where_all_slices_score_alike_none_is_the_lowest() -> None:
    about = {"models": ["teacher", "student_quantized"]}
    alike = {"about": about, "slices": {"t": [sliced("a", 1.0), sliced("b", 1.0)]}}
    (said,) = slice_readings(alike, "t")
    assert said.startswith("In none of the 2 slices that can be judged was the quantized student")
    apart = {"about": about, "slices": {"t": [sliced("a", 1.0), sliced("b", 0.9)]}}
    assert "scores lowest in class: b: 0.900" in slice_readings(apart, "t")[1]


def test_one_input_and_one_output_are_not_several() -> None:
    against = {"n": 1, "failed": 1, "failed_teacher": 1}
    asked = {"kinds": {}, "out_of_scope": {"x": 1}, "against_teacher": against}
    found = {"edge_cases": {"t": asked}}
    assert edge_readings(found, "t")[0].startswith("Of 1 input made from test texts")
    people = {
        "judged": 1,
        "reviewers": 1,
        "read_twice": 0,
        "alpha": None,
        "kappa": None,
        "preferred": {"wins": 0, "losses": 0, "ties": 1, "rate": None},
    }
    said = " ".join(people_readings({"people": {"t": people}}, "t"))
    assert "One person judged 1 output of" in said and "Of 1 text of which" in said
    assert "both said the same one thing of every output" in said


def test_agreement_below_chance_can_be_read() -> None:
    people = {
        "judged": 9,
        "reviewers": 2,
        "read_twice": 9,
        "kappa": None,
        "alpha": {"value": -0.95, "low": -1.0, "high": -0.001},
        "preferred": {"wins": 0, "losses": 0, "ties": 0, "rate": None},
    }
    said = " ".join(people_readings({"people": {"t": people}}, "t"))
    assert "a kappa of -0.95 (-1.00 to 0.00) over 9 outputs" in said


def test_a_project_that_masks_nothing_is_told_to_its_auditor() -> None:
    found = recorded()
    found["audit"]["masked"] |= {"entities": 0, "documents_with_entities": 0, "kinds": 0}
    said = " ".join(p for section in audit_sections(found) for p in section.paragraphs)
    assert "Nothing was masked: the project file names no kind of personal data" in said
    assert "were masked before" not in said


def test_settings_are_shown_as_a_person_writes_them() -> None:
    """Recipes keep mappings whose order counts as pairs: canaries, and fields of an extraction."""
    field = {"type": "string", "values": ["pump", "seal"], "grounded": None, "description": ""}
    settings = {"canaries": [[1, 6], [4, 2]], "fields": [["item", field], ["gate", {}]]}
    shown = flatten({"tasks": settings, "names": ["a", "b"], "empty": [], "of": [{"a": 1}, None]})
    assert shown == [
        ("tasks.canaries.1", "6"),
        ("tasks.canaries.4", "2"),
        ("tasks.fields.item.type", "string"),
        ("tasks.fields.item.values", "pump, seal"),
        ("names", "a, b"),
        ("empty", "–"),
        ("of", "a: 1, –"),
    ]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"n": 1}, "1 test example tells little: of a share of one half the 95% interval"),
        ({"n": 9, "unseen": 1}, "1 of 9 test examples has an answer that no training"),
        ({"n": 9, "in_training": 1}, "1 of 9 test examples has the text of a training"),
        ({"n": 9, "untested": 1, "untested_answers": ["b" * 99]}, "learned occurs in no test"),
    ],
)
def test_of_one_test_example(found: dict[str, Any], said: str) -> None:
    values = {"answers": 2, "unseen": 0, "untested": 0, "in_training": 0} | found
    about = {"models": ["teacher", "student_quantized"]}
    (*_, last) = limit_readings(
        {"about": about, "comparisons": {}, "test_sets": {"t": values}}, "t"
    )
    assert said in last and "b" * 61 not in last
