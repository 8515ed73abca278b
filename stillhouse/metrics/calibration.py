"""How far to trust a model's confidence: reliability bins, calibration error, and calibration.

A confidence is how sure a model is that its answer is right, 0..1: of a classifier, the probability
of its most likely class; of a written answer, its likelihood, calibrated (`fit_platt`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


# Nats a token: an answer that a schema forced may have no likelihood at all.
SMALLEST_LOG_LIKELIHOOD = -20.0
# Likelihoods closer than this (nats a token) are alike.
SMALLEST_SPREAD = 1e-6


@dataclass(frozen=True)
class Bin:
    """The predictions whose confidence lies in (lower, upper]; all but `count` are within 0..1."""

    lower: float
    upper: float
    confidence: float
    accuracy: float
    count: int


def check_confidences(confidence: ArrayLike, right: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return float64 [n], each at most 1, and bool [n].

    Raises ValueError when they are empty, misaligned, or not within 0..1.
    """
    import numpy as np

    c, y = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=bool)
    if c.ndim != 1 or not len(c) or c.shape != y.shape:
        raise ValueError(f"need two aligned, non-empty rows; got {c.shape} and {y.shape}")
    # Written so that NaN fails too; probabilities of a float16 softmax may exceed 1 a little.
    if not np.all((c >= 0) & (c <= 1 + 5e-3)):
        raise ValueError("confidences must lie within 0..1")
    return np.minimum(c, 1.0), y


def reliability_bins(
    confidence: ArrayLike, right: ArrayLike, bins: int = 15, *, equal_mass: bool = False
) -> list[Bin]:
    """Group predictions by confidence, float [n] and bool [n]; empty bins are left out.

    Bins have equal width over 0..1 (Guo et al. 2017, "On Calibration of Modern Neural Networks"),
    or with `equal_mass` about equal counts (Nguyen and O'Connor 2015, "Posterior calibration and
    exploratory analysis for natural language processing models"). Equal confidences always share
    a bin, so the order of the rows never matters.
    """
    import numpy as np

    c, correct = check_confidences(confidence, right)
    if bins < 1:
        raise ValueError(f"bins must be at least 1; got {bins}")
    edges = np.linspace(0.0, 1.0, bins + 1)
    if equal_mass:
        edges = np.unique(np.quantile(c, edges, method="inverted_cdf"))
        if len(edges) == 1:
            edges = np.repeat(edges, 2)
    # side="left" makes the intervals (lower, upper]; the lowest value would fall before the first.
    which = np.maximum(np.searchsorted(edges, c, side="left") - 1, 0)
    return [
        Bin(
            lower=float(edges[i]),
            upper=float(edges[i + 1]),
            confidence=float(c[which == i].mean()),
            accuracy=float(correct[which == i].mean()),
            count=int((which == i).sum()),
        )
        for i in np.unique(which)
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error: the count-weighted mean of |accuracy - confidence| over bins.

    Naeini, Cooper and Hauskrecht 2015, "Obtaining Well Calibrated Probabilities Using Bayesian
    Binning".
    """
    n = sum(b.count for b in bins)
    return sum(b.count * abs(b.accuracy - b.confidence) for b in bins) / n


@dataclass(frozen=True)
class ConfidenceMetrics:
    """All within 0..1. `brier` is the squared error of the confidence as the probability of being
    right (Brier 1950, "Verification of forecasts expressed in terms of probability")."""

    mean_confidence: float
    ece: float
    ece_equal_mass: float
    brier: float


def confidence_metrics(confidence: ArrayLike, right: ArrayLike) -> ConfidenceMetrics:
    """Of float [n] and bool [n]; 15 bins."""
    import numpy as np

    c, y = check_confidences(confidence, right)
    return ConfidenceMetrics(
        mean_confidence=float(c.mean()),
        ece=calibration_error(reliability_bins(c, y)),
        ece_equal_mass=calibration_error(reliability_bins(c, y, equal_mass=True)),
        brier=float(np.mean((c - y) ** 2)),
    )


def fit_platt(log_likelihoods: ArrayLike, right: ArrayLike) -> tuple[float, float]:
    """Slope and intercept that make of a log-likelihood the probability that the answer is right.

    `log_likelihoods` float [n] are those of written answers to validation examples, in nats and
    divided by the number of tokens, so that long answers are not less sure for being long; `right`
    bool [n]. See `apply_platt`.

    Logistic regression on one feature, with Platt's targets: instead of 1 and 0, what one more
    right and one more wrong answer would make of them, so that a few examples, or such as are all
    right, never give certainty (Platt 1999, "Probabilistic Outputs for Support Vector Machines").
    Where the likelier answers are less often right, likelihood says nothing, and the slope is 0.

    Raises ValueError when the rows are empty or misaligned, or hold no numbers.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    x, y = _likelihoods(log_likelihoods), np.asarray(right, dtype=bool)
    if x.shape != y.shape or not len(x):
        raise ValueError(f"need two aligned, non-empty rows; got {x.shape} and {y.shape}")
    ones = int(y.sum())
    target = np.where(y, (ones + 1) / (ones + 2), 1 / (len(y) - ones + 2))
    center, spread = float(x.mean()), float(x.std())
    if spread > SMALLEST_SPREAD:
        # A target between 0 and 1 is an example of both outcomes, weighed by it.
        scaled = ((x - center) / spread)[:, None]
        model = LogisticRegression(C=1.0).fit(
            np.concatenate([scaled, scaled]),
            np.repeat([1, 0], len(x)),
            sample_weight=np.concatenate([target, 1 - target]),
        )
        slope = float(model.coef_[0, 0]) / spread
        if slope > 0:
            return slope, float(model.intercept_[0]) - slope * center
    share = float(target.mean())
    return 0.0, float(np.log(share / (1 - share)))


def apply_platt(log_likelihoods: ArrayLike, fitted: Sequence[float]) -> NDArray[Any]:
    """Confidences float [n], from log-likelihoods as `fit_platt` takes them and what it found."""
    from scipy.special import expit

    slope, intercept = fitted
    found: NDArray[Any] = expit(slope * _likelihoods(log_likelihoods) + intercept)
    return found


def _likelihoods(values: ArrayLike) -> NDArray[Any]:
    import numpy as np

    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or np.isnan(x).any():
        raise ValueError(f"log-likelihoods must be a row of numbers; got {x.shape}")
    return np.clip(x, SMALLEST_LOG_LIKELIHOOD, 0.0)
