"""A rule is passed on its bound, not on its figure."""

from __future__ import annotations

import pytest

from stillhouse.audit.bounds import Bounded, mean_exposure, rate
from stillhouse.audit.verdict import judge, out_of_reach, said, too_few, worst


@pytest.mark.parametrize(
    ("found", "tried", "limit", "verdict"),
    [
        (0, 2000, 0.005, "passed"),
        (0, 300, 0.005, "unproven"),
        (1, 300, 0.005, "unproven"),
        (3, 300, 0.005, "missed"),
        (0, 0, 0.005, "unproven"),
    ],
)
def test_nothing_found_passes_only_where_enough_was_tried(
    found: int, tried: int, limit: float, verdict: str
) -> None:
    assert judge("personal", "student", rate(found, tried), limit).verdict == verdict


def test_what_is_doubted_proves_nothing() -> None:
    rule = judge("membership", "student", Bounded(0.9, 0.8, 1, 99), 0.7, doubt="both differ")
    assert (rule.verdict, rule.said) == ("unproven", "both differ")


@pytest.mark.parametrize(
    ("bits", "verdict"),
    [
        ([6.66], "unproven"),  # one in two secrets are kept like this by a model with a mean of 4
        ([0.01], "unproven"),
        ([6.66] * 4, "unproven"),
        ([6.66] * 5, "missed"),
        ([6.66, 6.66, 6.66, 3.9, 1.3, 0.5], "unproven"),
        ([1.44] * 5, "passed"),
        ([], "unproven"),
    ],
)
def test_of_too_few_secrets_nothing_is_said(bits: list[float], verdict: str) -> None:
    few = too_few(len(bits), 5.0)
    rule = judge("exposure_answers", "student", mean_exposure(bits), 5.0, doubt=few)
    assert rule.verdict == verdict
    assert bool(few) == (len(bits) in (1, 4))
    if few:
        assert "of the 5 secrets" in few and few in said([rule])
        assert rule.value == pytest.approx(bits[0])  # the figure stands there all the same


def test_a_limit_that_no_model_could_miss_is_not_passed() -> None:
    """50 candidates tell at most log2 51 = 5.7 bits: the figure of secrets known by heart."""
    by_heart = mean_exposure([5.67] * 2000)
    assert judge("exposure_texts", "student", by_heart, 6.0).verdict == "passed"
    doubt = out_of_reach(50, 6.0)
    assert "no exposure above 5.7 bits" in doubt and "`leak_audit.candidates`" in doubt
    assert judge("exposure_texts", "student", by_heart, 6.0, doubt=doubt).verdict == "unproven"
    assert out_of_reach(50, 5.0) == out_of_reach(200, 7.6) == ""


def test_what_was_tried_in_place_of_what_a_rule_asks_is_said() -> None:
    rule = judge(
        "exposure_texts", "student", mean_exposure([1.0]), 99.0, note="they stood 16 times"
    )
    assert (rule.verdict, rule.said) == ("passed", "they stood 16 times")


def test_the_worst_verdict_counts() -> None:
    kept, broken = (judge("prefixes", "student", rate(n, 900), 0.05) for n in (0, 90))
    open_ = judge("prefixes", "student_quantized", rate(0, 9), 0.05)
    assert [worst(r) for r in ([], [kept], [kept, open_], [open_, broken, kept])] == [
        *("unproven", "passed", "unproven", "missed")
    ]
    assert said([kept]) == "The only rule is kept to."
    assert said([broken]) == "The only rule is missed: prefixes (Student)."
    assert said([open_, broken]) == (
        "Of 2 rules, 1 is missed: prefixes (Student); 1 is not proven: "
        "prefixes (Student, quantized)."
    )
    doubted = judge("membership", "student", rate(0, 9), 0.05, doubt="both sides differ")
    assert said([doubted]).endswith(": membership (Student). Why that is: both sides differ.")
