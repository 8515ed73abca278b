"""A look at a running comparison, and what it tells.

The difference of two models is a mean over requests, whose error counts requests that belong
together as one. Its interval holds over all looks together (repeated confidence intervals: Jennison
and Turnbull 1989, "Interim analyses: the repeated confidence interval approach"), with boundaries
that spend the risk as requests come (metrics/sequential.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from stillhouse.config.monitor import AbTest
from stillhouse.facts import AbLookFacts
from stillhouse.metrics.bootstrap import by_group, with_ones
from stillhouse.metrics.sequential import Boundary, boundaries, examples_needed

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

NON_INFERIOR, INFERIOR, OPEN, SPENT = "non_inferior", "inferior", "open", "spent"
# Groups of requests below which no error can be told.
LEAST = 10


def due(requests: int, looks: Sequence[AbLookFacts], terms: AbTest) -> bool:
    """Whether enough came since the last look: a look at what was seen tells nothing new."""
    last = looks[-1].requests if looks else 0
    return requests - last >= terms.look_every or last < requests >= terms.requests


def look(
    low: ArrayLike,
    high: ArrayLike,
    groups: Sequence[Any],
    looks: Sequence[AbLookFacts],
    terms: AbTest,
    tasks: int = 1,
) -> AbLookFacts | None:
    """A look at differences of requests, float [n] each: the least and the most that each may be.

    `groups` names what a request belongs to, `looks` are those before. A verdict is reached over
    `tasks` tests: that none is inferior needs all of them, that one is any. None for fewer than
    `LEAST` groups.
    """
    fractions = [one.fraction for one in looks]
    least, least_error, count = estimate(low, groups, terms.margin)
    most, most_error, _ = estimate(high, groups, terms.margin)
    if count < LEAST:
        return None
    n = len(groups)
    fractions.append(min(1.0, n / terms.requests))
    lower = _boundary(tuple(fractions), terms.alpha)
    below = errors_away(lower.nominal, count)
    above = errors_away(_boundary(tuple(fractions), terms.alpha / tasks).nominal, count)
    return AbLookFacts(
        requests=n,
        groups=count,
        fraction=fractions[-1],
        difference=(least + most) / 2,
        error=max(least_error, most_error),
        low=max(-1.0, least - below * least_error),
        high=min(1.0, most + above * most_error),
        z=below,
        spent=lower.spent,
    )


@lru_cache(maxsize=64)
def _boundary(fractions: tuple[float, ...], alpha: float) -> Boundary:
    return boundaries(fractions, alpha)[-1]


def errors_away(nominal: float, groups: int) -> float:
    """How many standard errors of so many groups have this much above them (Student's t)."""
    from scipy.stats import t

    return float(t.isf(nominal, groups - 1))


def estimate(values: ArrayLike, groups: Sequence[Any], margin: float) -> tuple[float, float, int]:
    """Mean of float [n], its standard error with groups as the units, and how many there are."""
    sums: NDArray[Any] = by_group(with_ones(values), list(groups))
    mean, error = with_error(sums[:, 0], sums[:, 1], margin)
    return float(mean), float(error), len(sums)


def with_error(sums: NDArray[Any], sizes: NDArray[Any], margin: float) -> tuple[Any, Any]:
    """Mean and standard error of groups' sums, float [..., groups] each.

    The error is that of a candidate which is worse by just the margin, as that is what a look is to
    rule out (a score test: Tango 1998, "Equivalence test and confidence interval for the difference
    in proportions for the paired-sample design"; by groups, without an assumption on how requests
    of one hang together). It is never less than if it differed nowhere else: a few requests that
    both answer alike would otherwise prove that all others are.
    """
    import numpy as np

    n = sizes.sum(axis=-1)
    seen = ((sums + margin * sizes) ** 2).sum(axis=-1) / n**2
    least = margin * (1 - margin) * (sizes**2).sum(axis=-1) / n**2
    return sums.sum(axis=-1) / n, np.sqrt(np.maximum(seen, least))


def verdict_of(looks: Sequence[AbLookFacts], terms: AbTest) -> str:
    """What the last look tells, against the margin."""
    if not looks:
        return OPEN
    last = looks[-1]
    if last.low > -terms.margin:
        return NON_INFERIOR
    if last.high < -terms.margin:
        return INFERIOR
    return SPENT if last.fraction >= 1 else OPEN


def needed(last: AbLookFacts, terms: AbTest) -> int | None:
    """About how many requests in all show it with the wanted power, if the difference is what was
    seen, or none where that speaks for the candidate; None where no number would do."""
    difference = min(0.0, last.difference)
    variance = last.error**2 * last.requests
    try:
        return examples_needed(
            terms.margin,
            variance + difference**2,
            alpha=terms.alpha,
            power=terms.power,
            difference=difference,
        )
    except ValueError:
        return None
