"""What people who read the same things say of them: shares of a drawn sample, and agreement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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


def krippendorffs_alpha(
    verdicts: Sequence[Sequence[bool]], *, samples: int = 1000, seed: int = 7
) -> Estimate | None:
    """Agreement of any number of people on things that each was read by two of them or more, beyond
    chance: 1 is all, 0 what chance would give. `verdicts` has those on each thing.

    Krippendorff (2011, "Computing Krippendorff's Alpha-Reliability"), for nominal data, with the
    percentile interval of a bootstrap over things. Two made-up things are drawn beside them, one on
    which two people agree and one on which they don't: so a few things on which all agree, or
    nobody, are no certainty. None where nothing was read twice, and where all said the same of
    everything.
    """
    import numpy as np

    counts = np.array([(len(said), sum(said)) for said in verdicts if len(said) > 1], float)
    if not len(counts):
        return None
    if (found := _alpha(counts)) is None:
        return None
    said, yes = counts.sum(axis=0)
    pool = np.vstack([counts, [2, 2 if 2 * yes >= said else 0], [2, 1]])
    drawn = np.random.default_rng(seed).integers(len(pool), size=(samples, len(counts)))
    ends = [alpha for rows in drawn if (alpha := _alpha(pool[rows])) is not None]
    low, high = np.quantile(ends, [0.025, 0.975]) if ends else (found, found)
    return Estimate(found, min(found, float(low)), max(found, float(high)))


def _alpha(counts: Any) -> float | None:
    """Of float [things, 2]: how many said something, and how many of them yes."""
    said, yes = counts[:, 0], counts[:, 1]
    total, all_yes = said.sum(), yes.sum()
    expected = 2 * all_yes * (total - all_yes) / (total - 1)
    observed = (2 * yes * (said - yes) / (said - 1)).sum()
    return float(1 - observed / expected) if expected else None


@dataclass(frozen=True)
class Preference:
    """Of texts judged of both: how often only the first was accepted (`wins`), only the second
    (`losses`), both or neither (`ties`). `rate` is the share of wins without ties, with the exact
    interval of Clopper and Pearson (1934), `p_value` that of the exact sign test."""

    wins: int
    losses: int
    ties: int
    rate: Estimate | None
    p_value: float | None


def preference(accepted: Sequence[tuple[bool, bool]]) -> Preference:
    """Which of two is preferred, from whether each was accepted, text by text."""
    from scipy.stats import binomtest

    wins = sum(first and not second for first, second in accepted)
    losses = sum(second and not first for first, second in accepted)
    ties = len(accepted) - wins - losses
    if not wins + losses:
        return Preference(wins, losses, ties, None, None)
    test = binomtest(wins, wins + losses)
    low, high = test.proportion_ci(method="exact")
    rate = Estimate(wins / (wins + losses), float(low), float(high))
    return Preference(wins, losses, ties, rate, float(test.pvalue))
