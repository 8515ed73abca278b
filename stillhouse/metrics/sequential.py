"""Looking at a comparison several times while it runs, without crying wolf more often than once.

Each look spends a part of the error that the whole comparison may make (Lan and DeMets 1983,
"Discrete sequential boundaries for clinical trials"), by a function that spends little of it early
(O'Brien and Fleming 1979, "A multiple testing procedure for clinical trials").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Points of the grid on which the distribution between two looks is kept, over this many standard
# deviations to each side: enough for four digits of a boundary.
GRID, WIDTH = 801, 10.0


@dataclass(frozen=True)
class Boundary:
    """What one look has to exceed: `z` standard errors, one-sided. `spent` is the error that all
    looks up to this one may make together, `nominal` that of this one, were it the only one."""

    fraction: float
    z: float
    spent: float
    nominal: float


def spent_by(fraction: float, alpha: float) -> float:
    """The share of a one-sided `alpha` that may be spent when `fraction` (0..1) of what was planned
    has been seen: 2 - 2 Phi(z / sqrt(fraction)), z the point above which alpha / 2 lies."""
    from scipy.stats import norm

    if fraction <= 0:
        return 0.0
    return float(2 * norm.sf(norm.isf(alpha / 2) / min(1.0, fraction) ** 0.5))


def boundaries(fractions: Sequence[float], alpha: float) -> list[Boundary]:
    """The boundary of each look, at rising `fractions` (0..1) of what was planned.

    What is summed up to a look is normal with independent increments; the share that no earlier
    look stopped is kept on a grid and carried from look to look (Armitage, McPherson and Rowe 1969,
    "Repeated significance tests on accumulating data"). Raises ValueError when the fractions don't
    rise.
    """
    import numpy as np
    from scipy.optimize import brentq
    from scipy.stats import norm

    if any(b <= a for a, b in zip((0.0, *fractions), fractions, strict=False)):
        raise ValueError(f"looks need rising fractions above 0; got {list(fractions)}")
    found: list[Boundary] = []
    density: Any = None  # float [GRID] over the sums `at`, once there was a look
    at: Any = None
    before, already = 0.0, 0.0
    for fraction in fractions:
        spent = spent_by(fraction, alpha)
        step, scale = (fraction - before) ** 0.5, fraction**0.5

        def crossed(bound: float, step: float = step, at: Any = at, density: Any = density) -> Any:
            """How likely the sum is above `bound` now and was below each bound before."""
            if at is None:
                return norm.sf(bound / step)
            return np.trapezoid(density * norm.sf((bound - at) / step), at)

        left = max(0.0, spent - already)
        widest = WIDTH * scale
        bound = (
            widest
            if left < crossed(widest)
            else brentq(lambda x, left=left, crossed=crossed: crossed(x) - left, -widest, widest)
        )
        z = bound / scale
        found.append(Boundary(fraction, float(z), spent, float(norm.sf(z))))
        grid = np.linspace(-widest, bound, GRID)
        if at is None:
            density = norm.pdf(grid / step) / step
        else:
            moved = np.exp(-0.5 * ((grid[:, None] - at[None, :]) / step) ** 2)
            moved /= step * (2 * np.pi) ** 0.5
            density = np.trapezoid(moved * density[None, :], at, axis=1)
        at, before, already = grid, fraction, max(spent, already)
    return found


def examples_needed(
    margin: float, differing: float, *, alpha: float, power: float, difference: float = 0.0
) -> int:
    """How many paired examples show that a model is not worse than another by `margin` or more.

    `differing` is the share of examples on which just one of the two is right, `difference` the
    true difference of their scores (0: they are equally good). One-sided `alpha`; normal
    approximation of the paired difference (Liu et al. 2002, "Tests for equivalence or
    non-inferiority for paired binary data"). Raises ValueError when no number of examples would do.
    """
    import math

    from scipy.stats import norm

    if difference + margin <= 0:
        raise ValueError("the model is worse than the margin allows: no number of examples helps")
    variance = max(0.0, differing - difference**2)
    reach = float(norm.isf(alpha) + norm.isf(1 - power))
    return max(1, math.ceil(variance * (reach / (difference + margin)) ** 2))
