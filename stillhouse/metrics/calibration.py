"""How far to trust a classifier's confidence: reliability bins and calibration error.

Throughout, the confidence of a prediction is the probability of its most likely class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Bin:
    """The predictions whose confidence lies in (lower, upper]; all but `count` are within 0..1."""

    lower: float
    upper: float
    confidence: float
    accuracy: float
    count: int


def check_predictions(
    probabilities: ArrayLike, gold: ArrayLike
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return float64 [n, classes] and int64 [n].

    Raises ValueError when they are empty, misaligned, not finite, not distributions, or when a
    gold class is out of range.
    """
    import numpy as np

    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(gold)
    if p.ndim != 2 or 0 in p.shape:
        raise ValueError(f"probabilities must be [n, classes] and not empty; got {p.shape}")
    if y.shape != (len(p),):
        raise ValueError(f"gold must be [{len(p)}], one class a row; got {y.shape}")
    if not np.issubdtype(y.dtype, np.integer):
        raise ValueError(f"gold must hold class indices (integers); got {y.dtype}")
    if y.min() < 0 or y.max() >= p.shape[1]:
        raise ValueError(f"gold has classes outside 0..{p.shape[1] - 1}")
    # Written so that NaN fails too. The tolerance lets a float16 softmax pass, not logits.
    if not (np.all(p >= 0) and np.all(np.abs(p.sum(axis=1) - 1) <= 5e-3)):
        raise ValueError("every row of probabilities must be non-negative and sum to 1")
    return p, y.astype(np.int64)


def reliability_bins(
    probabilities: ArrayLike, gold: ArrayLike, bins: int = 15, *, equal_mass: bool = False
) -> list[Bin]:
    """Group float [n, classes] by confidence; bins without predictions are left out.

    Bins have equal width over 0..1 (Guo et al. 2017, "On Calibration of Modern Neural Networks"),
    or with `equal_mass` about equal counts (Nguyen and O'Connor 2015, "Posterior calibration and
    exploratory analysis for natural language processing models"). Equal confidences always share
    a bin, so the order of the rows never matters.
    """
    import numpy as np

    p, y = check_predictions(probabilities, gold)
    if bins < 1:
        raise ValueError(f"bins must be at least 1; got {bins}")
    confidence, correct = np.minimum(p.max(axis=1), 1.0), p.argmax(axis=1) == y
    edges = np.linspace(0.0, 1.0, bins + 1)
    if equal_mass:
        edges = np.unique(np.quantile(confidence, edges, method="inverted_cdf"))
        if len(edges) == 1:
            edges = np.repeat(edges, 2)
    # side="left" makes the intervals (lower, upper]; the lowest value would fall before the first.
    which = np.maximum(np.searchsorted(edges, confidence, side="left") - 1, 0)
    return [
        Bin(
            lower=float(edges[i]),
            upper=float(edges[i + 1]),
            confidence=float(confidence[which == i].mean()),
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
