"""What people who read the same things say of them: shares of a drawn sample, and agreement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stillhouse.metrics.spans import Estimate, wilson


def weighted_share(hits: Sequence[bool], weights: Sequence[float]) -> Estimate | None:
    """The share of a population, from hits of a sample whose members stand for `weights` others.

    With the score interval of Wilson (1927) over as many observations as the sample is worth:
    (sum of weights)^2 / sum of squared weights (Kish 1965, "Survey Sampling"). None of an empty
    sample.
    """
    total = sum(weights)
    if not total:
        return None
    share = sum(w for hit, w in zip(hits, weights, strict=True) if hit) / total
    low, high = wilson(share, total**2 / sum(w * w for w in weights))
    return Estimate(share, low, high)


def cohens_kappa(pairs: Sequence[tuple[str, str]]) -> Estimate | None:
    """Agreement of two people beyond chance, from what each said of the same things: 1 is all, 0
    what chance would give.

    With the interval of Cohen (1960, "A coefficient of agreement for nominal scales"), who takes
    the agreement by chance as given, and that of Wilson (1927) of the observed one in place of
    Cohen's, so that a few things on which both agree are no certainty. None where nothing was said
    twice, and where both said the same one thing of everything: chance explains all of that.
    """
    n = len(pairs)
    first, second = (
        (Counter(said) for said in zip(*pairs, strict=True)) if n else (Counter(), Counter())
    )
    chance = sum(first[said] * second[said] for said in first) / n**2 if n else 1.0
    if chance == 1:
        return None
    observed = sum(a == b for a, b in pairs) / n
    ends = (observed, *wilson(observed, n))
    return Estimate(*((agreed - chance) / (1 - chance) for agreed in ends))
