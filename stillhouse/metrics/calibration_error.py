"""How far calibration errors, Brier scores and log losses could be off by the luck of the examples.

Calibration errors are sums of absolute gaps: chance alone makes each gap a little wider, so that a
small test set shows an error even for an ideal model, and one drawn from it again shows more still.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from stillhouse.metrics.bootstrap import (
    CHUNK,
    INTERVAL_REPEATS,
    SIGNIFICANCE,
    by_group,
    mean_of,
    metric_interval,
    with_ones,
)
from stillhouse.metrics.calibration import check_confidences, confidence_metrics
from stillhouse.metrics.classification import wilson_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

BINS = 15
SMALLEST = 1e-12


@dataclass(frozen=True)
class Trust:
    """What a model's confidence is worth, by examples and by chance; pairs are 95 % intervals.

    `nll` is the log loss, in nats, of the confidence as the probability of being right (Good 1952,
    "Rational Decisions"), `brier` its squared error.
    """

    n: int
    share_right: float
    mean_confidence: float
    ece: float
    ece_ci: tuple[float, float]
    ece_equal_mass: float
    ece_equal_mass_ci: tuple[float, float]
    brier: float
    brier_ci: tuple[float, float]
    nll: float
    nll_ci: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def trust_of(
    confidence: ArrayLike, right: ArrayLike, groups: Sequence[Any] | None = None, *, seed: int = 0
) -> Trust:
    """Of float [n] and bool [n]; examples of one group are drawn together.

    The upper end of a calibration error is that of the basic bootstrap (Davison and Hinkley 1997,
    "Bootstrap Methods and their Application", 5.2): what drawing again adds is taken off, as the
    first draw added about as much, but it is never below the error itself. The lower end takes off
    all that chance alone can add: how far gaps of another draw lie from these (after Bröcker and
    Smith 2007, "Increasing the Reliability of Reliability Diagrams"), so that an ideal model seldom
    has one above 0.
    """
    import numpy as np

    c, y = check_confidences(confidence, right)
    p = np.clip(c, SMALLEST, 1 - SMALLEST)
    found = confidence_metrics(c, y)
    nll = -np.where(y, np.log(p), np.log1p(-p))
    parts = [_gaps(c, y, equal_mass=False), _gaps(c, y, equal_mass=True), np.ones((len(c), 1))]
    ends = np.cumsum([part.shape[1] for part in parts])
    columns = by_group(np.concatenate(parts, axis=1), groups)
    drawn = _drawn(columns, seed)
    drawn = drawn / drawn[:, -1:]
    seen = columns.sum(axis=0) / len(c)
    usual = float(p.mean())
    return Trust(
        n=len(c),
        share_right=float(y.mean()),
        mean_confidence=found.mean_confidence,
        ece=found.ece,
        ece_ci=_error_ends(seen[: ends[0]], drawn[:, : ends[0]], c, y),
        ece_equal_mass=found.ece_equal_mass,
        ece_equal_mass_ci=_error_ends(seen[ends[0] : ends[1]], drawn[:, ends[0] : ends[1]], c, y),
        brier=found.brier,
        brier_ci=_loss_ends((c - y) ** 2, (1 - usual) ** 2, usual**2, groups, seed),
        nll=float(nll.mean()),
        nll_ci=_loss_ends(nll, -math.log(usual), -math.log1p(-usual), groups, seed),
    )


def _loss_ends(
    losses: NDArray[Any], right: float, wrong: float, groups: Sequence[Any] | None, seed: int
) -> tuple[float, float]:
    """Of a mean loss; `right` and `wrong` are those of an answer of the usual confidence, so that
    answers which are all right don't prove that all others are."""
    import numpy as np

    def beside(usual: NDArray[Any]) -> NDArray[Any]:
        return np.array([[right, 1.0], [wrong, 1.0]]) * usual[1]

    return metric_interval(by_group(with_ones(losses), groups), mean_of, beside, seed)


def _gaps(c: NDArray[Any], y: NDArray[Any], *, equal_mass: bool) -> NDArray[Any]:
    """Right minus confidence of each example, in the column of its bin; bins stay as they are."""
    import numpy as np

    edges = np.linspace(0.0, 1.0, BINS + 1)
    if equal_mass:
        edges = np.unique(np.quantile(c, edges, method="inverted_cdf"))
    which = np.clip(np.searchsorted(edges, c, side="left") - 1, 0, max(0, len(edges) - 2))
    found = np.zeros((len(c), BINS))
    found[np.arange(len(c)), which] = y - c
    return found


def _drawn(sums: NDArray[Any], seed: int) -> NDArray[Any]:
    """Sums [repeats, k] of as many groups, drawn with replacement, from sums [groups, k]."""
    import numpy as np

    random, n, found = np.random.default_rng(seed), len(sums), []
    for start in range(0, INTERVAL_REPEATS, rows := max(1, CHUNK // n)):
        size = min(rows, INTERVAL_REPEATS - start)
        found.append(random.multinomial(n, np.full(n, 1 / n), size) @ sums)
    return np.concatenate(found)


def _ends(drawn: NDArray[Any]) -> tuple[float, float]:
    import numpy as np

    low, high = np.quantile(drawn, [SIGNIFICANCE / 2, 1 - SIGNIFICANCE / 2])
    return float(low), float(high)


def _error_ends(
    gaps: NDArray[Any], drawn: NDArray[Any], c: NDArray[Any], y: NDArray[Any]
) -> tuple[float, float]:
    """Of a calibration error, from the bins' gaps [bins] and those that were drawn [k, bins].

    It is never less than mean confidence and share right lie apart: nor is what that may be, from
    the share's own interval. Where all answers are right, or wrong, drawing again shows no chance
    at all, and that interval is all there is to go by.
    """
    import numpy as np

    value, mean = float(np.abs(gaps).sum()), float(c.mean())
    low, _ = _ends(np.abs(drawn).sum(axis=1))
    _, chance = _ends(np.abs(drawn - gaps).sum(axis=1))
    least, most = wilson_interval(int(y.sum()), len(y))
    high = min(1.0, max(value, 2 * value - low, mean - least, most - mean))
    lowest = max(0.0, value - chance)
    if y.all() or not y.any():
        lowest = max(0.0, least - mean, mean - most)
    return min(lowest, high), high
