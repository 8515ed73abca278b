"""What is made of the times of requests: percentiles with their bounds, and throughput.

A percentile is the nearest rank: the least time that so large a share of all times keeps to. Its
bounds are order statistics too, whatever the times are distributed like: how many of `n` times lie
below the true quantile is binomial (Hahn and Meeker, Statistical Intervals, 1991). Times within a
level depend on each other somewhat, which no bound here knows of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

from stillhouse.facts import LatencyLevelFacts, SpreadFacts
from stillhouse.load.loops import Load
from stillhouse.load.request import Asked

CONFIDENCE = 0.95


def percentile(ordered: Sequence[float], share: float) -> float:
    """Of times in rising order."""
    return ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)]


def bounds(ordered: Sequence[float], share: float) -> tuple[float | None, float | None]:
    """One-sided 95 % bounds of the quantile, from below and from above; None where there are too
    few times for one (for the 95th from above, fewer than 59)."""
    n = len(ordered)
    if not n:
        return None, None
    below, above = _ranks(n, share)
    low = ordered[below - 1] if below >= 1 else None
    return low, ordered[above - 1] if above <= n else None


@lru_cache
def _ranks(n: int, share: float) -> tuple[int, int]:
    """Which of `n` times, from 1 on; 0 and n + 1 where there is none."""
    from scipy.stats import binom

    low, high = (int(binom.ppf(p, n, share)) for p in (1 - CONFIDENCE, CONFIDENCE))
    return low, high + 1


def share_bounds(count: int, n: int) -> tuple[float, float]:
    """One-sided 95 % bounds of a share (Clopper and Pearson, 1934)."""
    from scipy.stats import beta

    low = float(beta.ppf(1 - CONFIDENCE, count, n - count + 1)) if count else 0.0
    high = float(beta.ppf(CONFIDENCE, count + 1, n - count)) if count < n else 1.0
    return low, high


def spread(times: Sequence[float]) -> SpreadFacts | None:
    """None without any."""
    if not times:
        return None
    ordered = sorted(times)
    p50, p95, p99 = (round(percentile(ordered, share), 6) for share in (0.5, 0.95, 0.99))
    low, high = (None if b is None else round(b, 6) for b in bounds(ordered, 0.95))
    mean = round(math.fsum(ordered) / len(ordered), 6)
    return SpreadFacts(len(ordered), mean, p50, p95, p99, low, high)


def whole(one: Asked) -> float:
    """From when it was due to its last token."""
    return one.last - one.due


def first(one: Asked) -> float:
    return one.first - one.due


def between(one: Asked) -> float:
    """From a token to the next, on average over the answer; which has two tokens at least."""
    return (one.last - one.first) / (one.tokens - 1)


def level_of(load: Load) -> LatencyLevelFacts:
    """Requests and tokens a second are of what was answered while requests were sent: what is
    waited for afterwards says nothing of how many a server can do at once."""
    answered = [one for one in load.asked if one.error is None]
    within = [one for one in answered if one.last - load.began <= load.seconds]
    took = load.seconds
    if not within and answered:  # none as fast as that
        within, took = answered, max(one.last for one in answered) - load.began
    errors = [one.error for one in load.asked if one.error is not None]
    late = sorted(max(0.0, one.sent - one.due) for one in load.asked)
    # A time that can't be measured, as all of it came at once, says nothing.
    spoken = [one for one in answered if one.tokens > 1 and one.last > one.first]
    tasks = sorted({one.task for one in answered})
    return LatencyLevelFacts(
        load.loop,
        load.load,
        round(took, 3),
        len(load.asked),
        len(answered),
        {kind: errors.count(kind) for kind in sorted(set(errors))},
        round(len(within) / took, 4) if took else 0.0,
        round(sum(one.tokens for one in within) / took, 4) if took else 0.0,
        round(percentile(late, 0.99), 6) if late else 0.0,
        spread([whole(one) for one in answered]),
        spread([first(one) for one in answered]),
        spread([between(one) for one in spoken]),
        _by_task(answered, tasks, whole) if len(tasks) > 1 else {},
        load.given_up,
    )


def _by_task(
    answered: Sequence[Asked], tasks: Sequence[str], time: Callable[[Asked], float]
) -> dict[str, SpreadFacts]:
    found = {task: spread([time(one) for one in answered if one.task == task]) for task in tasks}
    return {task: one for task, one in found.items() if one}


def mean_tokens(loads: Sequence[Load]) -> tuple[float | None, float | None]:
    """Of prompts and of answers, where the server counts them."""
    every = [one for load in loads for one in load.asked if one.error is None]
    asked = [one.prompt_tokens for one in every if one.prompt_tokens is not None]
    mean = round(sum(asked) / len(asked), 2) if asked else None
    return mean, round(sum(one.tokens for one in every) / len(every), 2) if every else None
