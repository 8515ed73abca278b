from __future__ import annotations

import pytest

from stillhouse.metrics.agreement import cohens_kappa, weighted_share
from stillhouse.metrics.spans import wilson


def test_a_share_of_equal_weights_is_wilsons() -> None:
    from scipy.stats import binomtest

    found = weighted_share([True] * 3 + [False] * 47, [4.0] * 50)
    expected = binomtest(3, 50).proportion_ci(method="wilson")
    assert found is not None
    assert found.value == pytest.approx(0.06)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_unequal_weights_are_worth_fewer_observations() -> None:
    hits, weights = [True, False, False, False], [1.0, 1.0, 4.0, 4.0]
    found = weighted_share(hits, weights)
    assert found is not None
    assert found.value == pytest.approx(0.1)
    assert (found.low, found.high) == pytest.approx(wilson(0.1, 100 / 34))
    assert weighted_share([], []) is None


def test_kappa_of_a_table_reckoned_by_hand() -> None:
    """They agree on 140 of 200; their margins are 100, 60, 40 and 120, 60, 20, so that chance alone
    gives 0.3 + 0.09 + 0.02 = 0.41."""
    table = {
        ("a", "a"): 88, ("a", "b"): 10, ("a", "c"): 2,
        ("b", "a"): 14, ("b", "b"): 40, ("b", "c"): 6,
        ("c", "a"): 18, ("c", "b"): 10, ("c", "c"): 12,
    }  # fmt: skip
    found = cohens_kappa([said for said, n in table.items() for _ in range(n)])
    assert found is not None
    assert found.value == pytest.approx((0.70 - 0.41) / 0.59)
    # Cohen's own limits, by the normal approximation, are near by where pairs are many.
    half = 1.96 * (0.70 * 0.30 / (200 * 0.59**2)) ** 0.5
    limits = (found.value - half, found.value + half)
    assert (found.low, found.high) == pytest.approx(limits, abs=0.02)


def test_few_pairs_on_which_both_agree_are_no_certainty() -> None:
    found = cohens_kappa([("accept", "accept"), ("reject", "reject"), ("accept", "accept")])
    assert found is not None
    assert found.value == pytest.approx(1.0)
    assert found.low < 0.2 and found.high == pytest.approx(1.0)


def test_kappa_is_unknown_where_chance_explains_all() -> None:
    assert cohens_kappa([]) is None
    assert cohens_kappa([("accept", "accept")] * 9) is None
