from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from stillhouse.metrics.paired import mcnemar_exact


def test_mcnemar_counts_and_direction():
    first = np.array([1, 1, 1, 0, 0], dtype=bool)
    second = np.array([1, 0, 0, 1, 0], dtype=bool)
    test = mcnemar_exact(first, second)
    assert (test.n, test.only_first, test.only_second) == (5, 2, 1)
    assert test.difference == pytest.approx(1 / 5)
    assert test.p_value == 1.0
    assert mcnemar_exact(second, first).difference == pytest.approx(-1 / 5)


def split(n: int, wins: int, losses: int) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    first[:wins] = True
    second[wins : wins + losses] = True
    return first, second


@settings(max_examples=40)
@given(wins=st.integers(0, 60), losses=st.integers(0, 60))
def test_mcnemar_is_the_two_sided_binomial_test(wins, losses):
    test = mcnemar_exact(*split(150, wins, losses))
    tail = binom.cdf(min(wins, losses), wins + losses, 0.5)
    assert test.p_value == pytest.approx(min(1.0, 2 * tail))
    # The resolution that is reported is the boundary of what is significant.
    if test.smallest_significant is None:
        assert wins + losses < 6
        assert not test.significant
    else:
        reached = abs(test.difference) >= test.smallest_significant - 1e-12
        assert test.significant == reached


def test_resolution_improves_with_examples():
    finest = [mcnemar_exact(*split(n, n // 20, n // 20)).smallest_significant for n in (200, 2000)]
    assert all(later < earlier for earlier, later in pairwise(finest))


def test_mcnemar_without_differences():
    same = np.array([True, False])
    assert mcnemar_exact(same, same).p_value == 1.0
    with pytest.raises(ValueError, match="aligned"):
        mcnemar_exact(same, same[:1])
