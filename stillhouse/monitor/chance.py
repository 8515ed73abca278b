"""Whether two samples differ by more than chance explains, and by how much.

Examples are taken to be independent: who calls this has left out what was copied. Of tests by
permutation all arrangements are alike if nothing has changed, so that their p is exact however few
the examples are (Phipson and Smyth 2010, "Permutation P-values should never be zero").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Arrangements that are drawn; the least p is one of so many.
REPEATS = 1999
BINS = 10
# Arrangements in memory at a time.
CHUNK = 200


def psi(reference: ArrayLike, current: ArrayLike, bins: int = BINS) -> float:
    """Population stability index of float [n] and float [m], over the reference's quantiles.

    By custom, below 0.1 little has changed and from 0.2 on much (Siddiqi 2006, "Credit Risk
    Scorecards").
    """
    import numpy as np

    old, new = np.asarray(reference, float), np.asarray(current, float)
    edges = np.unique(np.quantile(old, np.linspace(0, 1, bins + 1)[1:-1]))
    counted = [np.bincount(np.searchsorted(edges, x), minlength=len(edges) + 1) for x in (old, new)]
    return psi_of_counts(*counted)


def psi_of_counts(reference: ArrayLike, current: ArrayLike) -> float:
    """The same of counts [k] and [k]; half an example is added to each, so that none is 0."""
    import numpy as np

    old, new = np.asarray(reference, float) + 0.5, np.asarray(current, float) + 0.5
    old, new = old / old.sum(), new / new.sum()
    return float(((new - old) * np.log(new / old)).sum())


def kolmogorov_smirnov(reference: ArrayLike, current: ArrayLike) -> float:
    """Two-sided p of float [n] and float [m]."""
    from scipy.stats import ks_2samp

    return float(ks_2samp(reference, current).pvalue)


def higher_mean(reference: ArrayLike, current: ArrayLike, *, seed: int) -> float:
    """One-sided p that float [m] has a higher mean than float [n] by chance, by permutation."""
    import numpy as np

    old, new = np.asarray(reference, float), np.asarray(current, float)
    pooled, random = np.concatenate([old, new]), np.random.default_rng(seed)
    seen, found = new.sum(), 0
    for start in range(0, REPEATS, CHUNK):
        rows = min(CHUNK, REPEATS - start)
        drawn = random.permuted(np.tile(pooled, (rows, 1)), axis=1)[:, : len(new)].sum(axis=1)
        found += int((drawn >= seen - 1e-9).sum())
    return (found + 1) / (REPEATS + 1)


def more_in_tail(reference: ArrayLike, current: ArrayLike, share: float = 0.1) -> float:
    """One-sided p that so many of float [m] are among the lowest `share` of both together.

    Which those are is the same whoever is which, so the hypergeometric distribution is exact.
    """
    import numpy as np
    from scipy.stats import hypergeom

    old, new = np.asarray(reference, float), np.asarray(current, float)
    pooled = np.concatenate([old, new])
    bound = np.quantile(pooled, share)
    low = pooled <= bound if (pooled > bound).any() else pooled < bound
    of_new = int(low[len(old) :].sum())
    return float(hypergeom.sf(of_new - 1, len(pooled), int(low.sum()), len(new)))


def other_mix(reference: Sequence[int], current: Sequence[int], *, seed: int) -> float:
    """p of Pearson's chi-squared on counts [k] and [k], by permutation: rare answers are no
    trouble."""
    import numpy as np

    table = np.array([reference, current], float)
    table = table[:, table.sum(axis=0) > 0]
    total, size = table.sum(axis=0), int(table[1].sum())
    if table.shape[1] < 2:
        return 1.0
    random = np.random.default_rng(seed)
    drawn = random.multivariate_hypergeometric(total.astype(np.int64), size, REPEATS, "marginals")
    expected = total * size / total.sum()

    def distance(new: NDArray[Any]) -> NDArray[Any]:
        # That of the other row is proportional to it.
        return ((new - expected) ** 2 / expected).sum(axis=-1)

    found = int((distance(drawn) >= distance(table[1]) - 1e-9).sum())
    return (found + 1) / (REPEATS + 1)


def areas(scores: NDArray[Any], current: NDArray[Any]) -> NDArray[Any]:
    """Area under the ROC curve of each column: float [n, k] and bool [n, k]; 0.5 where one side
    is empty."""
    import numpy as np
    from scipy.stats import rankdata

    ranks = rankdata(scores, axis=0)
    new = current.sum(axis=0)
    old = len(scores) - new
    above = (ranks * current).sum(axis=0) - new * (new + 1) / 2
    return np.where((new > 0) & (old > 0), above / np.maximum(1, new * old), 0.5)


def area_interval(area: float, old: int, new: int) -> tuple[float, float]:
    """95 % interval of an area over so many examples (Hanley and McNeil 1982)."""
    other, both = area / (2 - area), 2 * area * area / (1 + area)
    spread = area * (1 - area) + (new - 1) * (other - area**2) + (old - 1) * (both - area**2)
    error = 1.96 * (max(spread, 0.0) / (old * new)) ** 0.5
    return max(0.0, area - error), min(1.0, area + error)


def benjamini_hochberg(values: Sequence[float]) -> list[float]:
    """Corrected for the false discovery rate (Benjamini and Hochberg 1995)."""
    from scipy.stats import false_discovery_control

    return [float(q) for q in false_discovery_control(values)] if values else []
