"""Resampling: how far a score, or the difference of two, could be off by the luck of the examples.

A score here is any function of sums over examples, so that shares, means and micro F1 are treated
alike. Examples that belong together (passages of one document, near-duplicates) are drawn together.
(Efron 1979, "Bootstrap methods: another look at the jackknife"; by clusters: Field and Welsh 2007,
"Bootstrapping clustered data".)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from stillhouse.metrics.extraction import micro_f1

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

SIGNIFICANCE = 0.05
# An interval of one score is shown after every epoch as well; its ends need no third digit.
INTERVAL_REPEATS = 2_000
# Draws in memory at a time.
CHUNK = 2_000_000
TIE = 12  # decimals

Metric = Callable[["NDArray[Any]"], "NDArray[Any]"]
"""From sums over examples [..., k] to scores [...]."""


def mean_interval(values: ArrayLike, *, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean of float [n]."""
    return metric_interval(with_ones(values), mean_of, extremes_of_mean, seed)


def f1_interval(counts: ArrayLike, *, seed: int = 0) -> tuple[float, float]:
    """95 % interval of micro F1, from counts [n, 3]."""
    return metric_interval(counted(counts), micro_f1, extremes_of_f1, seed)


def metric_interval(
    columns: NDArray[Any], metric: Metric, beside: Metric, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of a metric of sums over rows [n, k].

    Two rows are drawn beside those that there are: of the usual row `beside` makes [2, k], all
    right and all wrong (as Agresti and Coull 1998, "Approximate is better than exact for interval
    estimation of binomial proportions", count some more of each). So a few examples that are all
    right don't prove that all others are.
    """
    import numpy as np

    rows = np.concatenate([columns, beside(columns.mean(axis=0))])
    drawn = draw(rows, metric, INTERVAL_REPEATS, seed)
    low, high = np.quantile(drawn, [SIGNIFICANCE / 2, 1 - SIGNIFICANCE / 2])
    value = float(np.round(metric(columns.sum(axis=0)), TIE))
    # The two rows pull it to the middle: what was seen is possible all the same.
    return min(float(low), value), max(float(high), value)


def extremes_of_mean(usual: NDArray[Any]) -> NDArray[Any]:
    """For `metric_interval` of `mean_of`: values of 1 and of 0, as many as a row has."""
    import numpy as np

    return np.array([[usual[1], usual[1]], [0.0, usual[1]]])


def extremes_of_f1(usual: NDArray[Any]) -> NDArray[Any]:
    """The same of `micro_f1`: as much as a row wants, all found, or other things instead."""
    import numpy as np

    wanted = max(1.0, usual[0] + usual[2])
    return np.array([[wanted, 0.0, 0.0], [0.0, wanted, wanted]])


def draw(sums: NDArray[Any], metric: Metric, repeats: int, seed: int) -> NDArray[Any]:
    """The metric of `repeats` samples of as many groups, with replacement; `sums` [groups, k]."""
    import numpy as np

    random, found, n = np.random.default_rng(seed), [], len(sums)
    for start in range(0, repeats, rows := max(1, CHUNK // n)):
        size = min(rows, repeats - start)
        chosen = random.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        # How often each group was drawn, times its sums: several times as fast as to gather them.
        often = np.bincount(chosen.ravel(), minlength=size * n).reshape(size, n)
        found.append(metric(often.astype(np.float64) @ sums))
    # However sums are added up, a tie is one.
    return np.round(np.concatenate(found), TIE)


def by_group(columns: NDArray[Any], groups: Sequence[Any] | None) -> NDArray[Any]:
    """Sums [groups, k] of columns [n, k]."""
    import numpy as np

    if groups is None:
        return columns
    if len(groups) != len(columns):
        raise ValueError(f"need a group for each of {len(columns)} examples; got {len(groups)}")
    _, place = np.unique(np.asarray(groups), return_inverse=True)
    return np.stack([np.bincount(place, weights=column) for column in columns.T], axis=1)


def with_ones(values: ArrayLike) -> NDArray[Any]:
    """Float [n] as columns whose sums make a mean."""
    import numpy as np

    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not len(found):
        raise ValueError(f"need a row of scores; got {found.shape}")
    return np.stack([found, np.ones(len(found))], axis=1)


def counted(counts: ArrayLike) -> NDArray[Any]:
    import numpy as np

    found = np.asarray(counts, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != 3 or not len(found):
        raise ValueError(f"need counts [n, 3]; got {found.shape}")
    return found


def mean_of(sums: NDArray[Any]) -> NDArray[Any]:
    return sums[..., 0] / sums[..., 1]
