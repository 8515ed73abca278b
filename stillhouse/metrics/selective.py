"""Answering only where a model is sure: what that is worth, and from which confidence on.

Confidences are float [n], higher is surer; equal ones are never told apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# How often a threshold may promise a precision that it doesn't have.
MISTAKEN = 0.05
NORMAL_95 = 1.959963984540054
SMALLEST = 1e-9


def risk_coverage(confidence: ArrayLike, loss: ArrayLike) -> list[tuple[float, float, float]]:
    """(threshold, coverage, risk) from the strictest threshold to none: the share of examples that
    are answered at a confidence of at least so much, and their mean loss, 0..1.

    (El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective Classification".)
    """
    import numpy as np

    c, values, ends = _ordered(confidence, loss)
    sums = np.cumsum(values)
    return [(float(c[e]), (e + 1) / len(c), float(sums[e] / (e + 1))) for e in ends]


def area_under_risk(confidence: ArrayLike, loss: ArrayLike) -> float:
    """AURC: the mean risk over all coverages; lower is better (Geifman, Uziel and El-Yaniv 2019,
    "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers"). Examples of one confidence
    come in no order: each counts as their mean."""
    import numpy as np

    c, values, ends = _ordered(confidence, loss)
    level = values.astype(float)
    start = 0
    for end in ends:
        level[start : end + 1] = values[start : end + 1].mean()
        start = end + 1
    return float((np.cumsum(level) / np.arange(1, len(c) + 1)).mean())


def _ordered(
    confidence: ArrayLike, loss: ArrayLike
) -> tuple[NDArray[Any], NDArray[Any], list[int]]:
    """Both in falling order of confidence, and where each confidence stands last."""
    import numpy as np

    c, values = np.asarray(confidence, float), np.asarray(loss, float)
    if c.ndim != 1 or not len(c) or c.shape != values.shape or np.isnan(c).any():
        raise ValueError(f"need two aligned rows of numbers; got {c.shape} and {values.shape}")
    order = np.argsort(-c, kind="stable")
    c, values = c[order], values[order]
    ends = [int(i) for i in np.flatnonzero(np.append(np.diff(c) != 0, True))]
    return c, values, ends


@dataclass(frozen=True)
class Threshold:
    """From which confidence on answers are right often enough; `value` is None where that was not
    shown. Of the validation examples `covered` lie above it, `right` of them are right, and `bound`
    is the lower 95 % bound of their precision. `fewest` examples, all right, could show it."""

    value: float | None
    covered: int
    right: int
    bound: float | None
    fewest: int


def threshold_for(confidence: ArrayLike, right: ArrayLike, precision: float) -> Threshold:
    """The lowest confidence from which on a precision is shown on held-out examples.

    Thresholds are tried from the strictest that could show it downwards, by an exact binomial test
    each (Clopper and Pearson 1934), until the first one fails: tested in a fixed order, the chance
    of promising too much stays MISTAKEN, however many there are (Angelopoulos et al. 2021, "Learn
    then Test", 2.1).
    """
    import numpy as np

    fewest = 1 if precision <= 0 else math.ceil(math.log(MISTAKEN) / math.log(precision))
    c, hits, ends = _ordered(confidence, np.asarray(right, bool))
    counts = np.cumsum(hits)
    found = Threshold(None, 0, 0, None, fewest)
    for end in ends:
        if end + 1 < fewest:
            continue
        bound = lower_bound(int(counts[end]), end + 1)
        if bound < precision:
            break
        found = Threshold(float(c[end]), end + 1, int(counts[end]), bound, fewest)
    return found


def lower_bound(successes: int, n: int, *, mistaken: float = MISTAKEN) -> float:
    """The exact one-sided lower bound of a share, 95 % by default."""
    from scipy.stats import beta

    return float(beta.ppf(mistaken, successes, n - successes + 1)) if successes else 0.0


@dataclass(frozen=True)
class Separation:
    """How well a confidence tells two groups apart: `auroc` is the share of pairs in which the one
    of the first group is surer, equals counting half; 0.5 is chance."""

    auroc: float
    low: float
    high: float
    inside: int
    outside: int


def separation(inside: ArrayLike, outside: ArrayLike) -> Separation:
    """Of confidences [m] of what a model is for, and [n] of what it isn't, at least one each.

    The 95 % interval is a score interval: values whose own spread would explain what was seen
    (Newcombe 2006, "Confidence intervals for an effect size measure based on the Mann-Whitney
    statistic", method 5), so that a perfect separation of few examples is not certain.
    """
    import numpy as np
    from scipy.stats import rankdata

    x, y = np.asarray(inside, float), np.asarray(outside, float)
    m, n = len(x), len(y)
    if not m or not n:
        raise ValueError("need confidences of both groups")
    ranks = rankdata(np.concatenate([x, y]))[:m]
    area = float((ranks.sum() - m * (m + 1) / 2) / (m * n))
    weight = (m + n) / 2 - 1

    def off(value: float) -> float:
        spread = 1 + weight * ((1 - value) / (2 - value) + value / (1 + value))
        return (area - value) ** 2 - NORMAL_95**2 * value * (1 - value) * spread / (m * n)

    # Where all pairs agree the estimate itself is an end.
    low = 0.0 if area <= 0 else _root(off, SMALLEST, area)
    high = 1.0 if area >= 1 else _root(off, 1 - SMALLEST, area)
    return Separation(area, low, high, m, n)


def _root(off: Callable[[float], float], end: float, area: float) -> float:
    """Where `off` is 0 between the end of the scale, where it is above, and the estimate, where it
    is below; at an estimate of 0 or 1 both are roots, and the inner one is meant."""
    from scipy.optimize import brentq

    start = area if off(area) < 0 else area + (1e-6 if end > area else -1e-6)
    return float(brentq(off, start, end)) if off(start) < 0 else end
