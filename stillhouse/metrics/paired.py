"""Whether two models differ on the same examples by more than chance explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

SIGNIFICANCE = 0.05


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
