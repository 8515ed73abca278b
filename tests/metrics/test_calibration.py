import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from stillhouse.metrics.calibration import (
    Bin,
    apply_platt,
    calibration_error,
    confidence_metrics,
    fit_platt,
    reliability_bins,
)


def calibrated_logits(seed: int, n: int, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and gold drawn from their softmax: calibrated by construction."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(n, classes))
    cumulative = softmax(logits, axis=1).cumsum(axis=1)
    return logits, (rng.random((n, 1)) > cumulative[:, :-1]).sum(axis=1)


def test_bins_are_open_below_and_closed_above():
    bins = reliability_bins([0.6, 0.8, 0.81], [True, False, True], bins=5)
    assert [b.count for b in bins] == [1, 1, 1]
    assert [b.upper for b in bins] == pytest.approx([0.6, 0.8, 1.0])
    assert bins[1] == Bin(
        pytest.approx(0.6), pytest.approx(0.8), pytest.approx(0.8), pytest.approx(0.0), 1
    )


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 80),
    bins=st.integers(1, 20),
    equal_mass=st.booleans(),
)
def test_bins_partition_the_predictions_in_any_order(seed, n, bins, equal_mass):
    rng = np.random.default_rng(seed)
    # Rounded, so that there are ties.
    p = np.round(rng.uniform(0, 1, n), 2)
    right = rng.integers(0, 2, n).astype(bool)
    found = reliability_bins(p, right, bins, equal_mass=equal_mass)
    assert sum(b.count for b in found) == n
    assert len(found) <= bins
    for b in found:
        assert b.count > 0
        assert b.lower - 1e-9 <= b.confidence <= b.upper + 1e-9
    assert sum(b.count * b.confidence for b in found) == pytest.approx(p.sum())
    assert sum(b.count * b.accuracy for b in found) == pytest.approx(right.sum())
    order = rng.permutation(n)
    again = reliability_bins(p[order], right[order], bins, equal_mass=equal_mass)
    assert [b.count for b in again] == [b.count for b in found]
    assert calibration_error(again) == pytest.approx(calibration_error(found))


def test_equal_mass_bins_are_level_where_equal_width_is_not():
    rng = np.random.default_rng(0)
    p = 1 - rng.uniform(0, 0.06, 300)
    right = np.ones(300, dtype=bool)
    assert len(reliability_bins(p, right)) == 1
    assert [b.count for b in reliability_bins(p, right, equal_mass=True)] == [20] * 15


def test_equal_mass_with_one_confidence_is_one_bin():
    (only,) = reliability_bins([0.7] * 9, [True] * 9, equal_mass=True)
    assert (only.count, only.accuracy) == (9, 1.0)


def test_calibration_error_of_known_bins():
    bins = [Bin(0.0, 0.5, 0.4, 0.6, 10), Bin(0.5, 1.0, 0.9, 0.5, 30)]
    assert calibration_error(bins) == pytest.approx((10 * 0.2 + 30 * 0.4) / 40)


def test_calibrated_predictions_have_a_small_error_and_sharpened_ones_do_not():
    logits, gold = calibrated_logits(1, 20_000)

    def error(logits: np.ndarray) -> float:
        p = softmax(logits, axis=1)
        return confidence_metrics(p.max(axis=1), p.argmax(axis=1) == gold).ece

    assert error(logits) < 0.02
    assert error(logits / 0.3) > 0.1


def test_metrics_of_known_confidences():
    found = confidence_metrics([0.9, 0.8, 0.6], [True, False, True])
    assert found.mean_confidence == pytest.approx(2.3 / 3)
    assert found.ece == pytest.approx((0.1 + 0.8 + 0.4) / 3)
    assert found.brier == pytest.approx((0.01 + 0.64 + 0.16) / 3)


@pytest.mark.parametrize(
    ("confidence", "right", "complaint"),
    [
        ([], [], "non-empty"),
        ([0.5], [True, False], "aligned"),
        ([1.2], [True], "within"),
        ([-0.1], [True], "within"),
        ([float("nan")], [True], "within"),
    ],
)
def test_refuses_what_is_no_confidence(confidence, right, complaint):
    with pytest.raises(ValueError, match=complaint):
        reliability_bins(confidence, right)


def answers(seed: int, n: int, slope: float, intercept: float) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihoods of answers, and which are right, as a logistic curve says."""
    rng = np.random.default_rng(seed)
    x = -rng.exponential(0.4, n)
    return x, rng.random(n) < expit(slope * x + intercept)


def test_calibration_finds_the_curve_that_answers_were_drawn_from():
    fitted = fit_platt(*answers(1, 20_000, 6.0, 1.5))
    assert fitted == pytest.approx((6.0, 1.5), rel=0.1)
    x, right = answers(2, 5_000, 6.0, 1.5)
    before, after = (confidence_metrics(c, right).ece for c in (np.exp(x), apply_platt(x, fitted)))
    assert after < 0.02 < 0.1 < before


@pytest.mark.parametrize("right", [[True] * 3, [False] * 3, [True, True, False]])
def test_a_few_or_one_sided_examples_never_give_certainty(right):
    x = [-0.01, -0.02, -8.0]
    found = apply_platt([*x, 0.0, -20.0], fit_platt(x, right))
    assert 0.05 < found.min() <= found.max() < 0.95
    assert (found[:3].mean() > 0.5) == (sum(right) > 1)


def test_examples_told_apart_completely_keep_a_finite_slope():
    x = np.linspace(-1, 0, 200)
    slope, intercept = fit_platt(x, x > -0.5)
    assert 5 < slope < 100
    assert apply_platt([-0.5], (slope, intercept))[0] == pytest.approx(0.5, abs=0.05)


def test_likelihood_that_says_nothing_gives_the_share_of_right_answers():
    for x in ([-0.3] * 8, list(np.linspace(-1, 0, 8))):  # alike; the likelier ones are wrong
        slope, intercept = fit_platt(x, [True] * 6 + [False] * 2)
        assert slope == 0
        assert expit(intercept) == pytest.approx((6 * 7 / 8 + 2 * 1 / 4) / 8)


def test_calibration_bears_impossible_answers_and_refuses_what_is_no_number():
    fitted = fit_platt([-np.inf, -0.1, -0.2, -0.3], [False, True, True, True])
    assert np.isfinite(fitted).all()
    found = apply_platt([-np.inf, -0.1], fitted)
    assert 0 < found[0] < found[1] < 1
    with pytest.raises(ValueError, match="row of numbers"):
        fit_platt([float("nan")], [True])
    with pytest.raises(ValueError, match="non-empty"):
        fit_platt([], [])
