"""Metrics of a classifier on a test set."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from stillhouse.metrics.calibration import confidence_metrics
from stillhouse.metrics.spans import wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

# A probability of exactly 0 for the gold class (float16 does that) must not make the NLL infinite.
SMALLEST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class ClassScores:
    """One class; precision, recall and f1 are 0 where undefined, so read them with `support`."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class ClassificationMetrics:
    """All within 0..1, but `brier` (0..2) and `nll` (nats, 0 or more)."""

    n: int
    accuracy: float
    accuracy_ci: tuple[float, float]
    macro_f1: float
    mean_confidence: float
    ece: float
    ece_equal_mass: float
    brier: float
    nll: float
    per_class: dict[str, ClassScores]

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"accuracy_ci": list(self.accuracy_ci)}


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


def classification_metrics(
    probabilities: ArrayLike, gold: ArrayLike, labels: Sequence[str]
) -> ClassificationMetrics:
    """Score float [n, classes] against int [n]; `labels` names the classes in column order.

    - `accuracy_ci`: 95 % score interval (Wilson 1927, "Probable inference, the law of succession,
      and statistical inference").
    - `macro_f1`: mean F1 over the classes that occur in `gold`, so that every model on one test
      set is averaged over the same classes, whatever it predicts.
    - `ece`, `ece_equal_mass`: 15 bins; see `calibration.reliability_bins`.
    - `brier`: squared error summed over classes (Brier 1950, "Verification of forecasts expressed
      in terms of probability").

    Raises ValueError as `check_predictions` does, or when labels don't fit the columns.
    """
    import numpy as np
    from sklearn.metrics import precision_recall_fscore_support

    p, y = check_predictions(probabilities, gold)
    if len(labels) != p.shape[1] or len(set(labels)) != len(labels):
        raise ValueError(f"labels must be {p.shape[1]} distinct names; got {len(labels)}")
    predicted, rows = p.argmax(axis=1), np.arange(len(y))
    correct = int((predicted == y).sum())
    precision, recall, f1, support = precision_recall_fscore_support(
        y, predicted, labels=np.arange(len(labels)), zero_division=0.0
    )
    trust = confidence_metrics(p.max(axis=1), predicted == y)
    # The Brier score by expansion, |p|^2 - 2 p[gold] + 1, needs no one-hot matrix.
    brier = np.mean((p**2).sum(axis=1) - 2 * p[rows, y] + 1)
    return ClassificationMetrics(
        n=len(y),
        accuracy=correct / len(y),
        accuracy_ci=wilson_interval(correct, len(y)),
        macro_f1=float(f1[support > 0].mean()),
        mean_confidence=trust.mean_confidence,
        ece=trust.ece,
        ece_equal_mass=trust.ece_equal_mass,
        brier=max(float(brier), 0.0),
        nll=float(-np.log(np.clip(p[rows, y], SMALLEST_PROBABILITY, 1.0)).mean()),
        per_class={
            label: ClassScores(float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]))
            for i, label in enumerate(labels)
        },
    )


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """95 % score interval of a proportion."""
    return wilson(successes / n, n)
