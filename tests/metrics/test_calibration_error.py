import numpy as np
import pytest

from stillhouse.metrics.calibration import confidence_metrics
from stillhouse.metrics.calibration_error import trust_of


def drawn(n: int, off: float, seed: int):
    random = np.random.default_rng(seed)
    sure = random.beta(4, 2, n)
    return sure, random.random(n) < np.clip(sure - off, 0, 1)


@pytest.mark.parametrize(("n", "off"), [(150, 0.0), (300, 0.15)])
def test_intervals_hold_the_true_error(n, off):
    found = [trust_of(*drawn(n, off, seed), seed=seed) for seed in range(30)]
    true = float(np.mean([np.mean(s - np.clip(s - off, 0, 1)) for s, _ in [drawn(n, off, 1)]]))
    assert sum(x.ece_ci[1] >= true for x in found) >= 26
    assert sum(x.ece_ci[0] <= true + 1e-9 for x in found) >= 26
    if not off:  # the plain estimates all lie above the truth: what chance adds
        assert min(x.ece for x in found) > true
    assert all(x.ece_ci[0] <= x.ece <= x.ece_ci[1] + 1e-9 for x in found)


def test_figures_are_those_of_the_report():
    sure, right = drawn(80, 0.1, 3)
    found, known = trust_of(sure, right), confidence_metrics(sure, right)
    assert (found.ece, found.ece_equal_mass, found.brier) == (
        known.ece,
        known.ece_equal_mass,
        known.brier,
    )
    expected = -np.mean(np.where(right, np.log(sure), np.log(1 - sure)))
    assert found.nll == pytest.approx(expected)
    assert found.nll_ci[0] < found.nll < found.nll_ci[1]
    assert np.isfinite(trust_of([1.0, 0.0], [False, True]).nll)


def test_examples_of_one_family_are_drawn_together():
    sure, right = drawn(60, 0.1, 5)
    alone = trust_of(np.repeat(sure, 4), np.repeat(right, 4))
    together = trust_of(np.repeat(sure, 4), np.repeat(right, 4), np.repeat(np.arange(60), 4))
    assert np.diff(together.brier_ci) > 1.6 * np.diff(alone.brier_ci)
    assert together.brier == alone.brier


def test_one_answer_says_nothing():
    found = trust_of([0.9], [True])
    assert found.ece_ci[0] <= found.ece <= found.ece_ci[1]
    assert found.n == 1


def test_answers_that_are_all_alike_prove_nothing_while_they_are_few():
    for sure, right in ((0.97, True), (0.2, False)):
        few, many = (trust_of([sure] * n, [right] * n) for n in (4, 400))
        assert few.ece_ci[0] == 0
        assert few.ece_ci[1] > 0.25
        assert many.ece_ci[1] - many.ece_ci[0] < 0.05
