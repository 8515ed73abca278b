"""Whether two models differ on the same examples by more than chance explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

    @property
    def difference(self) -> float:
        """Share of examples that the first answers well, minus that of the second."""
        return (self.only_first - self.only_second) / self.n

    @property
    def significant(self) -> bool:
        return self.p_value < SIGNIFICANCE


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


@dataclass(frozen=True)
class BootstrapTest:
    """Two models, first and second, on the same `n` examples, drawn again by `groups`.

    `difference` is the first's score minus the second's, `low` and `high` its 95 % interval.
    `differing` counts the groups in which the two models' sums differ.
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
        return self.p_value < SIGNIFICANCE


def paired_bootstrap(
    first: ArrayLike,
    second: ArrayLike,
    *,
    groups: Sequence[Any] | None = None,
    repeats: int = REPEATS,
    seed: int = 0,
) -> BootstrapTest:
    """Two-sided test of the difference of mean scores, float [n] and float [n].

    `groups` names the group of each example; each is one of its own by default. Not corrected for
    multiple comparisons. Raises ValueError when the scores are empty or misaligned.
    """
    return _paired(with_ones(first), with_ones(second), mean_of, groups, repeats, seed)


def paired_bootstrap_f1(
    first: ArrayLike,
    second: ArrayLike,
    *,
    groups: Sequence[Any] | None = None,
    repeats: int = REPEATS,
    seed: int = 0,
) -> BootstrapTest:
    """The same for micro F1, from counts [n, 3]: what is right, too many, and missed."""
    return _paired(counted(first), counted(second), micro_f1, groups, repeats, seed)


def _paired(
    first: NDArray[Any],
    second: NDArray[Any],
    metric: Metric,
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

    drawn = draw(sums, difference, repeats, seed)
    differing = int((sums[:, :width] != sums[:, width:]).any(axis=1).sum())
    # The share of draws on the other side of no difference, twice; never 0, as the draws are few
    # (Davison and Hinkley 1997, "Bootstrap Methods and their Application", 4.11).
    tail = 1 + min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    # Of examples that all speak for one model no other draw can be made, however few they are: then
    # their signs say no more than this (the sign test).
    p_value = max(2 * tail / (repeats + 1), 2 * 0.5**differing)
    low, high = np.quantile(drawn, [SIGNIFICANCE / 2, 1 - SIGNIFICANCE / 2])
    return BootstrapTest(
        n=len(first),
        groups=len(sums),
        differing=differing,
        difference=float(difference(sums.sum(axis=0))),
        low=float(low),
        high=float(high),
        p_value=min(1.0, p_value),
    )
