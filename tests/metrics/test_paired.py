from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from stillhouse.metrics import bootstrap
from stillhouse.metrics.bootstrap import f1_interval, mean_interval
from stillhouse.metrics.classification import wilson_interval
from stillhouse.metrics.extraction import micro_f1
from stillhouse.metrics.paired import (
    enough_for,
    mcnemar_by_groups,
    mcnemar_exact,
    paired_bootstrap,
    paired_bootstrap_f1,
)


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


def counts(seed: int, n: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, (n, 3))


def test_bootstrap_finds_a_difference_that_is_there_and_its_size():
    rng = np.random.default_rng(3)
    second = rng.random(400)
    test = paired_bootstrap(second + 0.05 + rng.normal(0, 0.1, 400), second)
    # The standard error is 0.1 / 20 = 0.005.
    assert test.difference == pytest.approx(0.05, abs=0.015)
    assert test.high - test.low == pytest.approx(2 * 1.96 * 0.005, rel=0.15)
    assert test.low < test.difference < test.high
    assert test.significant
    assert (test.n, test.groups, test.differing) == (400, 400, 400)
    turned = paired_bootstrap(second, second + 0.05)
    assert turned.difference == pytest.approx(-0.05)


def test_bootstrap_is_repeatable_and_the_seed_matters():
    first, second = np.random.default_rng(0).random((2, 50))
    assert paired_bootstrap(first, second) == paired_bootstrap(first, second)
    assert paired_bootstrap(first, second, seed=1) != paired_bootstrap(first, second)


def test_bootstrap_holds_its_level_where_models_are_alike():
    rng = np.random.default_rng(11)
    found = [
        paired_bootstrap(*rng.random((2, 40)), repeats=400, seed=i).significant for i in range(300)
    ]
    assert 0.01 < np.mean(found) < 0.12  # 5 % of tests are wrong by design


def test_bootstrap_of_right_and_wrong_agrees_with_mcnemar():
    first, second = split(300, 30, 12)
    exact, drawn = mcnemar_exact(first, second), paired_bootstrap(first, second)
    assert drawn.difference == pytest.approx(exact.difference)
    assert drawn.p_value == pytest.approx(exact.p_value, abs=0.01)


def test_a_few_examples_prove_nothing_however_they_agree():
    """A sample drawn again of examples that all speak for one model speaks for it too."""
    for n in range(1, 6):
        test = paired_bootstrap(np.ones(n), np.zeros(n))
        assert test.p_value >= min(1, 2 * 0.5**n) > 0.05
        assert test.low <= 0 < test.high
        assert not test.significant
    assert paired_bootstrap(np.ones(6), np.zeros(6)).significant


def test_bootstrap_without_differences():
    same = np.random.default_rng(0).random(30)
    test = paired_bootstrap(same, same)
    assert (test.difference, test.p_value, test.differing) == (0, 1, 0)
    # That 30 examples show none doesn't prove that there is none, and 300 prove more.
    assert -0.25 < test.low < -0.03 < 0.03 < test.high < 0.25
    more = paired_bootstrap(np.tile(same, 10), np.tile(same, 10))
    assert more.high - more.low < (test.high - test.low) / 5


def test_an_interval_holds_what_is_true_of_few_examples():
    """Right and wrong of two models that differ by 5 points: its ends are off 5 times in 100."""
    rng = np.random.default_rng(8)
    held = 0
    for seed in range(200):
        outcome = rng.random(40)
        first, second = outcome < 0.10, (outcome > 0.95)  # only the one right: 10 %, 5 %
        test = mcnemar_by_groups(first, second, repeats=500, seed=seed)
        held += test.low <= 0.05 <= test.high
    assert held >= 186


def test_test_and_interval_say_the_same():
    for wins in range(12):
        test = mcnemar_by_groups(*split(60, wins, 3), repeats=500)
        assert test.significant == (not test.low <= 0 <= test.high)
        assert test.low <= test.difference <= test.high
    # Twelve answers of one document are one: the test takes them apart, the interval doesn't.
    groups = ["one"] * 12 + [f"d{i}" for i in range(48)]
    test = mcnemar_by_groups(*split(60, 12, 0), groups=groups, repeats=500)
    assert test.p_value < 0.05
    assert not test.significant
    assert test.groups == 49


@pytest.mark.parametrize(("differing", "slack"), [(0, 0.01), (20, 0.01), (20, 0.04)])
def test_so_many_examples_are_enough(differing, slack):
    def reach(times):
        ones = np.tile(np.arange(200) < differing, times)
        halves = np.tile(np.arange(200) < differing // 2, times)
        test = paired_bootstrap(halves, ones & ~halves, repeats=2000)
        return test.n, test.high - test.difference

    n, of_all = reach(1)
    enough = enough_for(n, differing, of_all, slack)
    times = max(1, round(enough / n))
    assert reach(times)[1] == pytest.approx(slack * (enough / n / times) ** 0.5, rel=0.5)
    assert enough_for(n, differing, of_all, 0.0) is None
    assert enough_for(n, differing, of_all, 1e-6) is None


def test_examples_of_one_document_count_as_one():
    rng = np.random.default_rng(5)
    of_document = rng.normal(0.01, 0.1, 40)
    second = np.full(400, 0.5)
    groups = np.repeat([f"doc {i}" for i in range(40)], 10)
    first = second + np.repeat(of_document, 10)
    apart, together = (
        paired_bootstrap(first, second),
        paired_bootstrap(first, second, groups=groups),
    )
    assert together.groups == together.differing == 40
    assert together.difference == pytest.approx(apart.difference)
    # Ten copies of a document know no more than one: the interval is wider by the root of ten.
    assert together.high - together.low == pytest.approx(
        (apart.high - apart.low) * 10**0.5, rel=0.15
    )
    assert together.p_value > apart.p_value
    shuffled = rng.permutation(400)
    again = paired_bootstrap(first[shuffled], second[shuffled], groups=groups[shuffled])
    assert again.p_value == pytest.approx(together.p_value)


def test_bootstrap_of_micro_f1_takes_the_ratio_of_sums():
    first, second = counts(1), counts(2)
    test = paired_bootstrap_f1(first, second)
    assert test.difference == pytest.approx(
        float(micro_f1(first.sum(axis=0)) - micro_f1(second.sum(axis=0)))
    )
    assert test.low < test.difference < test.high
    assert paired_bootstrap_f1(first, first).p_value == 1
    worse = first + np.array([0, 2, 2])
    assert paired_bootstrap_f1(first, worse).significant


@pytest.mark.parametrize(
    ("first", "second", "groups", "complaint"),
    [
        ([1.0], [1.0, 2.0], None, "aligned"),
        ([], [], None, "row of scores"),
        ([[1.0]], [[1.0]], None, "row of scores"),
        ([1.0, 2.0], [1.0, 2.0], ["a"], "a group for each of 2"),
    ],
)
def test_bootstrap_refuses(first, second, groups, complaint):
    with pytest.raises(ValueError, match=complaint):
        paired_bootstrap(first, second, groups=groups)


def test_bootstrap_of_counts_refuses_other_shapes():
    with pytest.raises(ValueError, match="counts"):
        paired_bootstrap_f1(np.ones((4, 2)), np.ones((4, 2)))


def test_intervals_of_one_score():
    rng = np.random.default_rng(4)
    values = rng.random(500)
    low, high = mean_interval(values)
    standard_error = values.std() / 500**0.5
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.2 * standard_error)
    assert high - low == pytest.approx(2 * 1.96 * standard_error, rel=0.1)
    found = counts(3)
    low, high = f1_interval(found)
    assert low < micro_f1(found.sum(axis=0)) < high
    low, high = mean_interval([0.5])
    assert low < 0.2 and high > 0.8, "one example says next to nothing"


@pytest.mark.parametrize("n", [1, 3, 20, 200])
def test_examples_that_are_all_right_do_not_prove_that_all_others_are(n):
    """The interval of Wilson, which knows that the score is a share, is about as wide."""
    least, _ = wilson_interval(n, n)
    for low, high in (mean_interval([1.0] * n), f1_interval([[2, 0, 0]] * n)):
        assert high == 1.0 and low < 1.0
        assert abs(low - least) < 0.25 if n < 10 else low == pytest.approx(least, abs=0.05)
    _, most = wilson_interval(0, n)
    for low, high in (mean_interval([0.0] * n), f1_interval([[0, 1, 2]] * n)):
        assert low == 0.0 and high > 0.0
        assert n < 10 or high == pytest.approx(most, abs=0.05)


def test_intervals_of_scores_next_to_perfect_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(5)
    samples = rng.random((200, 30)) < 0.95
    ends = [mean_interval(sample) for sample in samples]
    assert sum(low <= 0.95 <= high for low, high in ends) >= 0.93 * 200


def test_drawing_in_chunks_changes_no_more_than_the_luck(monkeypatch):
    first, second = np.random.default_rng(0).random((2, 50))
    whole = paired_bootstrap(first, second)
    monkeypatch.setattr(bootstrap, "CHUNK", 1234)
    pieces = paired_bootstrap(first, second)
    assert pieces.low == pytest.approx(whole.low, abs=0.01)
    assert pieces.p_value == pytest.approx(whole.p_value, abs=0.03)
