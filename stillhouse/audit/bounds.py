"""How far what an audit found may be off: 95 % intervals of rates, areas and exposures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

NORMAL = 1.959964


@dataclass(frozen=True)
class Bounded:
    """A figure with its 95 % interval, of so many attempts."""

    value: float
    low: float
    high: float
    tried: int


def rate(found: int, tried: int) -> Bounded:
    """A share with its exact interval (Clopper and Pearson 1934): of nothing tried it is 0 to 1."""
    # The interval's ends are quantiles of beta distributions; `binomtest` searches for them, which
    # takes a hundred times as long.
    from scipy.special import betaincinv

    if not tried:
        return Bounded(0.0, 0.0, 1.0, 0)
    low = float(betaincinv(found, tried - found + 1, 0.025)) if found else 0.0
    high = float(betaincinv(found + 1, tried - found, 0.975)) if found < tried else 1.0
    return Bounded(found / tried, low, high, tried)


def mean_exposure(exposures: Sequence[float], most: float = math.inf) -> Bounded:
    """The mean of canaries' exposures in bits, of which none can be told that is above `most`.

    Of a secret that a model never saw, every rank is as likely, so its exposure is exponential; the
    interval is that of the mean of such figures (a sum of n of them, doubled and divided by their
    mean, is chi-squared with 2n degrees of freedom). Of canaries that were learned it errs on the
    wide side.
    """
    from scipy.stats import chi2

    n = len(exposures)
    if not n:
        return Bounded(0.0, 0.0, most, 0)
    total = sum(exposures)
    low, high = (2 * total / float(chi2.ppf(q, 2 * n)) for q in (0.975, 0.025))
    return Bounded(total / n, low, max(total / n, min(high, most)), n)


def canaries_needed(limit: float) -> int:
    """How many canaries it takes until a model that never saw them (1 / ln 2 bits on average) keeps
    to the limit with its whole interval; 0 where no number does, as the limit is below that."""
    never_seen = 1 / math.log(2)
    if limit <= never_seen:
        return 0
    number = 1
    while mean_exposure([never_seen] * number).high > limit:
        number += max(1, number // 20)  # near the limit it takes thousands
    return number


@dataclass(frozen=True)
class Area:
    """An area under the ROC curve and its variance, of so many pairs of a member and another."""

    value: float
    variance: float
    members: int
    others: int


def area(members: ArrayLike, others: ArrayLike) -> Area:
    """How often a member's score is the higher one, ties counting half, with the variance of
    DeLong, DeLong and Clarke-Pearson (1988). Scores are float [n] and float [m], of independent
    texts; at least two on each side, else the variance is that of knowing nothing."""
    import numpy as np

    one, two = np.asarray(members, float), np.asarray(others, float)
    if len(one) < 2 or len(two) < 2:
        return Area(0.5, 0.25, len(one), len(two))
    of_members, of_others = _placements(one, two), 1 - _placements(two, one)
    variance = of_members.var(ddof=1) / len(one) + of_others.var(ddof=1) / len(two)
    # Where all are told apart none varies; of so few texts that proves no more than this.
    least = 0.25 / (len(one) * len(two))
    return Area(float(of_members.mean()), max(float(variance), least), len(one), len(two))


def _placements(scores: NDArray[Any], among: NDArray[Any]) -> NDArray[Any]:
    """For each score the share of the others below it."""
    import numpy as np

    ordered = np.sort(among)
    below, upto = (np.searchsorted(ordered, scores, side) for side in ("left", "right"))
    return (below + upto) / (2 * len(ordered))


def over_tasks(areas: Sequence[Area]) -> Bounded:
    """The mean area over tasks, each weighed by how many texts it compares: not by what was found
    of it, else a task of few texts that are told apart by luck would count most."""
    if not areas:
        return Bounded(0.5, 0.0, 1.0, 0)
    weights = [a.members * a.others / max(1, a.members + a.others) for a in areas]
    total = sum(weights) or 1.0
    value = sum(w * a.value for w, a in zip(weights, areas, strict=True)) / total
    variance = sum(w * w * a.variance for w, a in zip(weights, areas, strict=True)) / total**2
    spread = NORMAL * variance**0.5
    tried = sum(a.members + a.others for a in areas)
    return Bounded(value, max(0.0, value - spread), min(1.0, value + spread), tried)
