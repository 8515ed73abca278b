"""Whether two models differ on the same examples by more than chance explains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stillhouse.metrics.bootstrap import (
    SIGNIFICANCE,
    Metric,
    by_group,
    counted,
    draw,
    mean_of,
    with_ones,
)
from stillhouse.metrics.extraction import micro_f1

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

REPEATS = 10_000
# All of so many examples must speak for one model before chance is out of the question: of one
# fewer, the sign test says p = 0.06.
FEWEST_THAT_TELL = 6
# Of a figure next to its limit so many times as many examples would have to be named that nobody
# could have them.
MOST_TIMES = 1_000


@dataclass(frozen=True)
class PairedTest:
    """Two models, first and second, on the same `n` examples."""

    n: int
    only_first: int
    """Examples that only the first model answered well."""
    only_second: int
    p_value: float
    smallest_significant: float | None
    """The least difference that would be significant were the models to differ in outcome
    on as many examples as they do; None when they differ on too few for any split to be."""
    low: float | None = None
    high: float | None = None
    """The 95 % interval of the difference, where it was drawn: by `groups`."""
    groups: int | None = None

    @property
    def difference(self) -> float:
        """Share of examples that the first answers well, minus that of the second."""
        return (self.only_first - self.only_second) / self.n

    @property
    def differing(self) -> int:
        return self.only_first + self.only_second

    @property
    def significant(self) -> bool:
        """Both by the test, which takes each example for itself, and by the interval."""
        return self.p_value < SIGNIFICANCE and not _holds_zero(self.low, self.high)


def mcnemar_exact(first_right: ArrayLike, second_right: ArrayLike) -> PairedTest:
    """Exact two-sided McNemar test on bool [n] and bool [n].

    (McNemar 1947, "Note on the sampling error of the difference between correlated proportions or
    percentages"; exact binomial form.) Not corrected for multiple comparisons.
    """
    import numpy as np
    from scipy.stats import binomtest

    first, second = np.asarray(first_right, dtype=bool), np.asarray(second_right, dtype=bool)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"need two aligned, non-empty rows; got {first.shape}, {second.shape}")
    wins, losses = int((first & ~second).sum()), int((second & ~first).sum())
    split = wins + losses
    p_value = float(binomtest(wins, split).pvalue) if split else 1.0
    smallest = next(
        (
            (2 * k - split) / len(first)
            for k in range((split + 1) // 2, split + 1)
            if split and binomtest(k, split).pvalue < SIGNIFICANCE
        ),
        None,
    )
    return PairedTest(len(first), wins, losses, p_value, smallest)


def mcnemar_by_groups(
    first_right: ArrayLike,
    second_right: ArrayLike,
    *,
    groups: Sequence[Any] | None = None,
    repeats: int = REPEATS,
    seed: int = 0,
) -> PairedTest:
    """The same with the interval of the difference, in which examples of one group are drawn
    together (see `paired_bootstrap`). Where the test finds none, it holds no difference too."""
    import numpy as np

    test = mcnemar_exact(first_right, second_right)
    first, second = (np.asarray(x, dtype=np.float64) for x in (first_right, second_right))
    drawn = paired_bootstrap(first, second, groups=groups, repeats=repeats, seed=seed)
    low, high = _agreeing(drawn.low, drawn.high, test.p_value)
    return replace(test, low=low, high=high, groups=drawn.groups)


@dataclass(frozen=True)
class BootstrapTest:
    """Two models, first and second, on the same `n` examples, drawn again by `groups`.

    `difference` is the first's score minus the second's, `low` and `high` its 95 % interval, which
    holds 0 where the difference isn't significant. `differing` counts the groups in which the two
    models' sums differ.
    """

    n: int
    groups: int
    differing: int
    difference: float
    low: float
    high: float
    p_value: float

    @property
    def significant(self) -> bool:
        return self.p_value < SIGNIFICANCE and not _holds_zero(self.low, self.high)


def paired_bootstrap(
    first: ArrayLike,
    second: ArrayLike,
    *,
    groups: Sequence[Any] | None = None,
    repeats: int = REPEATS,
    seed: int = 0,
) -> BootstrapTest:
    """Two-sided test of the difference of mean scores, float [n] and float [n].

    `groups` names the group of each example; each is one of its own by default. Two groups are
    drawn beside those that there are: that which differs most, as it is and the other way round (as
    Bonett and Price 2012, "Adjusted Wald confidence interval for a difference of binomial
    proportions based on paired data", count one more of each). So a few examples without a
    difference don't prove that there is none. Not corrected for multiple comparisons. Raises
    ValueError when the scores are empty or misaligned.
    """
    return _paired(
        with_ones(first), with_ones(second), mean_of, _apart_in_mean, groups, repeats, seed
    )


def paired_bootstrap_f1(
    first: ArrayLike,
    second: ArrayLike,
    *,
    groups: Sequence[Any] | None = None,
    repeats: int = REPEATS,
    seed: int = 0,
) -> BootstrapTest:
    """The same for micro F1, from counts [n, 3]: what is right, too many, and missed."""
    return _paired(counted(first), counted(second), micro_f1, _apart_in_f1, groups, repeats, seed)


def _paired(
    first: NDArray[Any],
    second: NDArray[Any],
    metric: Metric,
    apart: Metric,
    groups: Sequence[Any] | None,
    repeats: int,
    seed: int,
) -> BootstrapTest:
    import numpy as np

    if first.shape != second.shape:
        raise ValueError(f"need two aligned rows; got {first.shape} and {second.shape}")
    width = first.shape[1]
    sums = by_group(np.concatenate([first, second], axis=1), groups)

    def difference(of: NDArray[Any]) -> NDArray[Any]:
        return metric(of[..., :width]) - metric(of[..., width:])

    most = _most_apart(sums, width, apart)
    turned = np.concatenate([most[width:], most[:width]])
    drawn = draw(np.concatenate([sums, [most, turned]]), difference, repeats, seed)
    differing = int((sums[:, :width] != sums[:, width:]).any(axis=1).sum())
    # The share of draws on the other side of no difference, twice; never 0, as the draws are few
    # (Davison and Hinkley 1997, "Bootstrap Methods and their Application", 4.11).
    tail = 1 + min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    # Of examples that all speak for one model no other draw can be made, however few they are: then
    # their signs say no more than this (the sign test).
    p_value = max(2 * tail / (repeats + 1), 2 * 0.5**differing)
    low, high = np.quantile(drawn, [SIGNIFICANCE / 2, 1 - SIGNIFICANCE / 2])
    low, high = _agreeing(float(low), float(high), p_value)
    value = float(difference(sums.sum(axis=0)))
    return BootstrapTest(
        n=len(first),
        groups=len(sums),
        differing=differing,
        difference=value,
        # The two groups beside pull it towards none: what was seen is possible all the same.
        low=min(low, value),
        high=max(high, value),
        p_value=min(1.0, p_value),
    )


def _most_apart(sums: NDArray[Any], width: int, apart: Metric) -> NDArray[Any]:
    """The group [2 * width] that differs most; where none does, one of their usual size in which
    one model is right and the other wrong."""
    import numpy as np

    gaps = np.abs(sums[:, :width] - sums[:, width:]).sum(axis=1)
    if gaps.any():
        return sums[int(gaps.argmax())]
    return apart(sums.mean(axis=0)[:width])


def _apart_in_mean(usual: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    return np.array([usual[1], usual[1], 0.0, usual[1]])


def _apart_in_f1(usual: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    wanted = max(1.0, usual[0] + usual[2])
    return np.array([wanted, 0.0, 0.0, 0.0, 0.0, wanted])


def _agreeing(low: float, high: float, p_value: float) -> tuple[float, float]:
    """The interval, with no difference in it where the test finds none: no two sentences about the
    same examples may disagree."""
    return (low, high) if p_value < SIGNIFICANCE else (min(low, 0.0), max(high, 0.0))


def _holds_zero(low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and low <= 0 <= high


def enough_for(n: int, differing: int, reach: float, slack: float) -> int | None:
    """About how many examples would have an interval that reaches no further than `slack` from its
    figure, where that of `n` reaches `reach`; None where no number would.

    An interval shrinks with the root of n, and the part of it that the two groups beside make (see
    `paired_bootstrap`) with n itself: with `differing` examples that is 2 of differing + 2.
    """
    if slack <= 0:
        return None
    beside = 2 / (differing + 2)
    of_root = (1 - beside) * reach**2
    times = (of_root + (of_root**2 + 4 * slack**2 * reach**2 * beside) ** 0.5) / (2 * slack**2)
    return math.ceil(n * times) if times < MOST_TIMES else None
