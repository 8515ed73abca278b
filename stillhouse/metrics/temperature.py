"""Temperature scaling: one number that makes a classifier as sure as it is right.

Guo, Pleiss, Sun and Weinberger 2017, "On Calibration of Modern Neural Networks". No answer changes:
the order of the classes stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Of fewer examples nothing is learned of how far to trust the others.
FEWEST = 10
COLDEST, HOTTEST = 0.05, 20.0
# A probability of exactly 0 has no logarithm.
SMALLEST = 1e-12


def fit_temperature(probabilities: ArrayLike, gold: ArrayLike) -> float | None:
    """The temperature of least negative log-likelihood on held-out examples; None of fewer than
    FEWEST. `probabilities` float [n, classes], `gold` int [n].

    The loss is convex in 1 / temperature, so the minimum is the only one. Instead of one class
    alone each target holds a little of all, as Platt's do (1999): what one more example would make
    of them. A few examples that are all right then never give certainty.
    """
    import numpy as np
    from scipy.optimize import minimize_scalar

    p, y = np.asarray(probabilities, float), np.asarray(gold, int)
    if p.ndim != 2 or y.shape != (len(p),):
        raise ValueError(f"need [n, classes] and [n]; got {p.shape} and {y.shape}")
    if len(y) < FEWEST or p.shape[1] < 2:
        return None
    logits = np.log(np.clip(p, SMALLEST, 1.0))
    spread = 1 / (len(y) + 2)
    target = np.full(p.shape, spread / p.shape[1])
    target[np.arange(len(y)), y] += 1 - spread

    def loss(sharpness: float) -> float:
        return -float((target * _log_softmax(logits * sharpness)).sum(axis=1).mean())

    found = minimize_scalar(loss, bounds=(1 / HOTTEST, 1 / COLDEST), method="bounded")
    return 1 / float(found.x)


def apply_temperature(probabilities: ArrayLike, temperature: float | None) -> NDArray[Any]:
    """Float [n, classes] at a temperature; None leaves them as they are."""
    import numpy as np

    p = np.asarray(probabilities, float)
    if temperature is None or not len(p):
        return p
    found: NDArray[Any] = np.exp(_log_softmax(np.log(np.clip(p, SMALLEST, 1.0)) / temperature))
    return found


def _log_softmax(logits: NDArray[Any]) -> NDArray[Any]:
    from scipy.special import log_softmax

    found: NDArray[Any] = log_softmax(logits, axis=1)
    return found
