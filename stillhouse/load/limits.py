"""The limits of the project file, and whether what was measured keeps to them.

A limit is passed where the upper bound keeps to it, missed where the figure itself doesn't, and
unproven in between: too few requests were sent, and chance may explain it (`stillhouse.judged`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from stillhouse.config.latency import LatencyLimits
from stillhouse.facts import LatencyLimitFacts
from stillhouse.judged import NO_LIMIT, NOT_MEASURED, UNPROVEN, judge
from stillhouse.judged import worst as worst_of
from stillhouse.load.figures import bounds, first, percentile, share_bounds, whole
from stillhouse.load.loops import Load
from stillhouse.load.request import Asked

ASKS = {
    "max_p95_seconds": "Seconds until an answer is whole, of 95 in 100.",
    "max_p95_ttft_seconds": "Seconds until an answer begins, of 95 in 100.",
    "max_errors": "Share of requests that were not answered.",
    "max_gigabytes": "Memory of the server at its peak, GB.",
}


def judged(
    limits: LatencyLimits, loads: Sequence[Load], peak_bytes: int | None
) -> list[LatencyLimitFacts]:
    """The limits that are set, each with its verdict. Times and errors are those of the closed loop
    with `limits.concurrency` callers."""
    found = []
    level = next(
        (one for one in loads if (one.loop, one.load) == ("closed", limits.concurrency)), None
    )
    asked = level.asked if level else []
    times: list[tuple[str, Callable[[Asked], float]]] = [
        ("max_p95_seconds", whole),
        ("max_p95_ttft_seconds", first),
    ]
    for name, time in times:
        if (limit := getattr(limits, name)) is not None:
            found.append(_of_times(name, limit, [_or_never(one, time) for one in asked]))
    if (limit := limits.max_errors) is not None:
        errors = sum(one.error is not None for one in asked)
        low, high = share_bounds(errors, len(asked)) if asked else (None, None)
        share = errors / len(asked) if asked else None
        found.append(_judge("max_errors", limit, share, low, high, len(asked)))
    if (limit := limits.max_gigabytes) is not None:
        peak = None if peak_bytes is None else round(peak_bytes / 1e9, 3)
        found.append(_judge("max_gigabytes", limit, peak, peak, peak, int(peak is not None)))
    return found


def _or_never(one: Asked, time: Callable[[Asked], float]) -> float:
    return math.inf if one.error else time(one)


def _of_times(name: str, limit: float, times: Sequence[float]) -> LatencyLimitFacts:
    ordered = sorted(times)
    value = percentile(ordered, 0.95) if ordered else None
    return _judge(name, limit, value, *bounds(ordered, 0.95), len(ordered))


def _judge(
    name: str,
    limit: float,
    value: float | None,
    low: float | None,
    high: float | None,
    tried: int,
) -> LatencyLimitFacts:
    top = math.inf if high is None else high
    verdict = UNPROVEN if value is None else judge(value, top, limit)
    return LatencyLimitFacts(name, verdict, _known(value), _known(low), _known(high), limit, tried)


def _known(value: float | None) -> float | None:
    return round(value, 6) if value is not None and math.isfinite(value) else None


def worst(limits: Sequence[LatencyLimitFacts], *, measured: bool = True) -> str:
    """The verdict of all of them."""
    if not measured:
        return NOT_MEASURED
    return worst_of((limit.verdict for limit in limits), none=NO_LIMIT)
