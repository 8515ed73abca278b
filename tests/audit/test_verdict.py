"""A rule is passed on its bound, not on its figure."""

from __future__ import annotations

import pytest

from stillhouse.audit.bounds import Bounded, rate
from stillhouse.audit.verdict import judge, said, worst


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


def test_the_worst_verdict_counts() -> None:
    kept, broken = (judge("prefixes", "student", rate(n, 900), 0.05) for n in (0, 90))
    open_ = judge("prefixes", "student_quantized", rate(0, 9), 0.05)
    assert [worst(r) for r in ([], [kept], [kept, open_], [open_, broken, kept])] == [
        *("unproven", "passed", "unproven", "missed")
    ]
    assert said([kept]) == "All 1 rules are kept to."
    assert (
        said([open_, broken])
        == "missed: prefixes of student; unproven: prefixes of student_quantized"
    )
