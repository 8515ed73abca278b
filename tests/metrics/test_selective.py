import numpy as np
import pytest
from scipy.stats import binom

from stillhouse.metrics.selective import (
    area_under_risk,
    lower_bound,
    risk_coverage,
    separation,
    threshold_for,
)


def test_risk_by_coverage_counts_equal_confidences_together():
    points = risk_coverage([0.9, 0.5, 0.5, 0.1], [0, 1, 0, 1])
    assert points == [(0.9, 0.25, 0.0), (0.5, 0.75, pytest.approx(1 / 3)), (0.1, 1.0, 0.5)]
    # Sure and right first: risks 0, 0, 1/3, 1/2.
    assert area_under_risk([4, 3, 2, 1], [0, 0, 1, 1]) == pytest.approx((1 / 3 + 1 / 2) / 4)
    assert area_under_risk([1, 1, 1, 1], [0, 1, 0, 1]) == 0.5
    with pytest.raises(ValueError, match="aligned"):
        risk_coverage([], [])


def test_a_threshold_is_one_that_held_out_answers_prove():
    sure = np.linspace(1, 0, 200, endpoint=False)
    right = np.arange(200) < 120
    found = threshold_for(sure, right, 0.9)
    assert found.value == sure[found.covered - 1]
    assert lower_bound(found.right, found.covered) == pytest.approx(found.bound)
    assert found.bound >= 0.9
    assert lower_bound(120, found.covered + 1) < 0.9  # one more would not be proven
    assert binom.sf(found.right - 1, found.covered, found.bound) == pytest.approx(0.05)


def test_too_few_answers_prove_nothing():
    found = threshold_for(np.linspace(1, 0.5, 58), np.ones(58, bool), 0.95)
    assert (found.value, found.fewest) == (None, 59)
    assert threshold_for(np.linspace(1, 0.5, 59), np.ones(59, bool), 0.95).covered == 59
    assert threshold_for([0.5] * 100, [True, False] * 50, 0.8).value is None


def test_promises_are_seldom_broken():
    """Of models whose confidence says nothing at all, right 80 times of 100."""
    random = np.random.default_rng(0)
    broken = sum(
        threshold_for(random.random(100), random.random(100) < 0.8, 0.81).value is not None
        for _ in range(200)
    )
    assert broken <= 18  # 5 % of 200, and what chance adds to that


def test_separation_counts_pairs_and_is_never_certain_of_few():
    found = separation([0.9, 0.8, 0.5], [0.5, 0.1])
    assert found.auroc == pytest.approx(5.5 / 6)
    assert found.low < found.auroc < found.high <= 1
    apart, mixed = separation([2.0] * 5, [1.0] * 5), separation([1.0] * 5, [2.0] * 5)
    assert (apart.auroc, apart.high) == (1, 1)
    assert 0.4 < apart.low < 0.9
    assert (mixed.auroc, mixed.low) == (0, 0)
    assert mixed.high == pytest.approx(1 - apart.low, abs=1e-4)
    many = separation([2.0] * 500, [1.0] * 500)
    assert many.low > 0.98
    with pytest.raises(ValueError, match="both groups"):
        separation([], [1.0])
