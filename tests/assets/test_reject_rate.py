"""When a rate of rejections stops what would learn from the pairs, and when it only warns."""

from __future__ import annotations

import dagster as dg
import pytest

from stillhouse.assets.reviews import check_of
from stillhouse.facts import ReviewFacts


def found(rate: float, low: float, high: float) -> ReviewFacts:
    return ReviewFacts(
        read=40, reject_rate=rate, reject_rate_low=low, reject_rate_high=high, kappa=0.7
    )


@pytest.mark.parametrize(
    ("facts", "passed", "severity", "said"),
    [
        (ReviewFacts(unusable=2), False, "WARN", "Nobody has reviewed"),
        (found(0.02, 0.01, 0.05), True, "ERROR", None),
        (found(0.08, 0.03, 0.18), False, "WARN", "So few were reviewed"),
        (found(0.10, 0.05, 0.19), False, "WARN", "So few were reviewed"),
        (found(0.11, 0.06, 0.20), False, "ERROR", "More answers are wrong"),
    ],
    ids=["unknown", "proven", "unproven", "at the gate", "above"],
)
def test_a_rate_above_the_gate_alone_stops_the_run(
    facts: ReviewFacts, passed: bool, severity: str, said: str | None
) -> None:
    result = check_of(facts, 0.1)
    assert (result.passed, result.severity.name) == (passed, severity)
    assert (result.description or "").startswith(said or "")
    assert isinstance(result, dg.AssetCheckResult)
    if facts.reject_rate is not None:
        assert result.metadata["reject_rate"].value == facts.reject_rate
        assert result.metadata["kappa"].value == 0.7
