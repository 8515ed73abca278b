from __future__ import annotations

import pytest

from stillhouse.metrics.agreement import cohens_kappa, weighted_share
from stillhouse.metrics.spans import wilson


def test_a_share_of_equal_weights_is_wilsons() -> None:
    found = weighted_share([True] * 3 + [False] * 47, [4.0] * 50)
    assert found is not None
    assert found.value == pytest.approx(0.06)
    # Wilson's interval of 3 of 50, computed by statsmodels 0.14.
    assert (found.low, found.high) == pytest.approx((0.0206172, 0.1621743), abs=1e-6)


def test_unequal_weights_are_worth_fewer_observations() -> None:
    hits, weights = [True, False, False, False], [1.0, 1.0, 4.0, 4.0]
    found = weighted_share(hits, weights)
    assert found is not None
    assert found.value == pytest.approx(0.1)
    assert (found.low, found.high) == pytest.approx(wilson(0.1, 100 / 34))
    assert weighted_share([], []) is None


def test_kappa_is_that_of_a_known_table() -> None:
    """The example of Cohen (1960, table 1): 200 patients, three diagnoses."""
    table = {
        ("a", "a"): 88, ("a", "b"): 10, ("a", "c"): 2,
        ("b", "a"): 14, ("b", "b"): 40, ("b", "c"): 6,
        ("c", "a"): 18, ("c", "b"): 10, ("c", "c"): 12,
    }  # fmt: skip
    found = cohens_kappa([said for said, n in table.items() for _ in range(n)])
    assert found is not None
    assert found.value == pytest.approx(0.492, abs=5e-4)
    # His 95 % limits by the normal approximation are .380 and .604.
    assert (found.low, found.high) == pytest.approx((0.380, 0.604), abs=0.02)


def test_few_pairs_on_which_both_agree_are_no_certainty() -> None:
    found = cohens_kappa([("accept", "accept"), ("reject", "reject"), ("accept", "accept")])
    assert found is not None
    assert found.value == pytest.approx(1.0)
    assert found.low < 0.2 and found.high == pytest.approx(1.0)


def test_kappa_is_unknown_where_chance_explains_all() -> None:
    assert cohens_kappa([]) is None
    assert cohens_kappa([("accept", "accept")] * 9) is None
