import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from stillhouse.metrics.calibration import Bin, calibration_error, reliability_bins


def two_class(confidences: list[float]) -> np.ndarray:
    return np.array([[c, 1 - c] for c in confidences])


def calibrated_logits(seed: int, n: int, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and gold drawn from their softmax: calibrated by construction."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(n, classes))
    cumulative = softmax(logits, axis=1).cumsum(axis=1)
    return logits, (rng.random((n, 1)) > cumulative[:, :-1]).sum(axis=1)


def test_bins_are_open_below_and_closed_above():
    bins = reliability_bins(two_class([0.6, 0.8, 0.81]), [0, 1, 0], bins=5)
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
    p = two_class(list(np.round(rng.uniform(0.5, 1, n), 2)))
    gold = rng.integers(0, 2, n)
    found = reliability_bins(p, gold, bins, equal_mass=equal_mass)
    assert sum(b.count for b in found) == n
    assert len(found) <= bins
    for b in found:
        assert b.count > 0
        assert b.lower - 1e-9 <= b.confidence <= b.upper + 1e-9
    assert sum(b.count * b.confidence for b in found) == pytest.approx(p.max(axis=1).sum())
    assert sum(b.count * b.accuracy for b in found) == pytest.approx(
        (p.argmax(axis=1) == gold).sum()
    )
    order = rng.permutation(n)
    again = reliability_bins(p[order], gold[order], bins, equal_mass=equal_mass)
    assert [b.count for b in again] == [b.count for b in found]
    assert calibration_error(again) == pytest.approx(calibration_error(found))


def test_equal_mass_bins_are_level_where_equal_width_is_not():
    rng = np.random.default_rng(0)
    p = two_class(list(1 - rng.uniform(0, 0.06, 300)))
    gold = np.zeros(300, dtype=int)
    assert len(reliability_bins(p, gold)) == 1
    assert [b.count for b in reliability_bins(p, gold, equal_mass=True)] == [20] * 15


def test_equal_mass_with_one_confidence_is_one_bin():
    (only,) = reliability_bins(two_class([0.7] * 9), [0] * 9, equal_mass=True)
    assert (only.count, only.accuracy) == (9, 1.0)


def test_calibration_error_of_known_bins():
    bins = [Bin(0.0, 0.5, 0.4, 0.6, 10), Bin(0.5, 1.0, 0.9, 0.5, 30)]
    assert calibration_error(bins) == pytest.approx((10 * 0.2 + 30 * 0.4) / 40)


def test_calibrated_predictions_have_a_small_error_and_sharpened_ones_do_not():
    logits, gold = calibrated_logits(1, 20_000)
    honest = calibration_error(reliability_bins(softmax(logits, axis=1), gold))
    sharpened = calibration_error(reliability_bins(softmax(logits / 0.3, axis=1), gold))
    assert honest < 0.02
    assert sharpened > 0.1
