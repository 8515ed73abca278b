"""Two models' scored answers to the same examples: how far apart, and if by more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stillhouse.metrics.bootstrap import (
    Metric,
    by_group,
    counted,
    extremes_of_f1,
    extremes_of_mean,
    mean_of,
    metric_interval,
    with_ones,
)
from stillhouse.metrics.extraction import micro_f1
from stillhouse.metrics.paired import (
    REPEATS,
    BootstrapTest,
    PairedTest,
    mcnemar_by_groups,
    paired_bootstrap,
    paired_bootstrap_f1,
)
from stillhouse.tasks.results import Scored

if TYPE_CHECKING:
    from numpy.typing import NDArray

Test = PairedTest | BootstrapTest


def ends(test: Test) -> tuple[float, float]:
    """The 95 % interval of the difference; the difference alone where none was drawn."""
    if test.low is None or test.high is None:
        return test.difference, test.difference
    return test.low, test.high


def tell_apart(
    first: Scored,
    second: Scored,
    groups: Sequence[str] | None = None,
    among: NDArray[Any] | None = None,
    repeats: int = REPEATS,
) -> Test:
    """By McNemar's test where the score is the share of right answers, else by bootstrap; examples
    of one of `groups` are drawn together. `among` are the places of the examples that count."""
    import numpy as np

    chosen = np.arange(first.n) if among is None else among
    of = None if groups is None else [groups[int(i)] for i in chosen]
    if first.counts is not None and second.counts is not None:
        a, b = np.asarray(first.counts)[chosen], np.asarray(second.counts)[chosen]
        return paired_bootstrap_f1(a, b, groups=of, repeats=repeats)
    if first.values is not None and second.values is not None:
        a, b = first.values[chosen], second.values[chosen]
        return paired_bootstrap(a, b, groups=of, repeats=repeats)
    return mcnemar_by_groups(first.right[chosen], second.right[chosen], groups=of, repeats=repeats)


def score_among(
    scored: Scored, groups: Sequence[str] | None, among: NDArray[Any]
) -> tuple[float, float, float]:
    """The headline score of those examples, and its 95 % interval."""
    import numpy as np

    metric: Metric = mean_of
    beside: Metric = extremes_of_mean
    if scored.counts is not None:
        columns, metric = counted(np.asarray(scored.counts)[among]), micro_f1
        beside = extremes_of_f1
    else:
        values = scored.right if scored.values is None else scored.values
        columns = with_ones(np.asarray(values, dtype=float)[among])
    sums = by_group(columns, None if groups is None else [groups[int(i)] for i in among])
    low, high = metric_interval(sums, metric, beside)
    return float(metric(sums.sum(axis=0))), low, high
