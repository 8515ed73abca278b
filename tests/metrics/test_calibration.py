import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.metrics.calibration import (
    TEMPERATURE_BOUNDS,
    Bin,
    apply_temperature,
    calibration_error,
    fit_temperature,
    reliability_bins,
)


def two_class(confidences: list[float]) -> np.ndarray:
    return np.array([[c, 1 - c] for c in confidences])


def calibrated_logits(seed: int, n: int, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and gold drawn from their softmax: calibrated by construction."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(n, classes))
    cumulative = apply_temperature(logits, 1.0).cumsum(axis=1)
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
    honest = calibration_error(reliability_bins(apply_temperature(logits, 1.0), gold))
    sharpened = calibration_error(reliability_bins(apply_temperature(logits, 0.3), gold))
    assert honest < 0.02
    assert sharpened > 0.1


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_fit_temperature_recovers_what_was_done_to_the_logits(temperature):
    logits, gold = calibrated_logits(2, 20_000)
    assert fit_temperature(logits * temperature, gold) == pytest.approx(temperature, rel=0.05)


def test_fit_temperature_takes_log_probabilities():
    logits, gold = calibrated_logits(3, 500)
    log_p = np.log(apply_temperature(logits, 1.0))
    assert fit_temperature(log_p, gold) == pytest.approx(fit_temperature(logits, gold), rel=1e-4)


def test_fit_temperature_minimises_the_nll():
    logits, gold = calibrated_logits(4, 400)
    fitted = fit_temperature(logits * 2.5, gold)

    def nll(t: float) -> float:
        return -np.log(apply_temperature(logits * 2.5, t)[np.arange(400), gold]).mean()

    assert nll(fitted) <= min(nll(fitted * 0.97), nll(fitted * 1.03))


def test_fit_temperature_of_perfect_predictions_stays_within_bounds():
    fitted = fit_temperature(np.eye(3) * 4, [0, 1, 2])
    assert TEMPERATURE_BOUNDS[0] <= fitted < 0.2


def test_fit_temperature_refuses_infinities():
    with pytest.raises(ValueError, match="finite"):
        fit_temperature([[0.0, -np.inf]], [0])


def test_apply_temperature_keeps_the_order_and_refuses_zero():
    p = apply_temperature([[1.0, 3.0, 2.0], [900.0, 0.0, -900.0]], 4.0)
    assert p.argsort(axis=1).tolist() == [[0, 2, 1], [2, 1, 0]]
    assert p.sum(axis=1) == pytest.approx([1, 1])
    with pytest.raises(ValueError, match="above 0"):
        apply_temperature([[1.0]], 0.0)
