"""The limits of the project file, and whether what was measured keeps to them.

A limit is passed where the bound at its far end keeps to it, missed where the near one doesn't, and
unproven in between: too few requests were sent, and chance may explain it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from stillhouse.config.latency import LatencyLimits
from stillhouse.facts import LatencyLimitFacts
from stillhouse.load.figures import bounds, first, percentile, share_bounds, whole
from stillhouse.load.loops import Load
from stillhouse.load.request import Asked

PASSED, UNPROVEN, MISSED = "passed", "unproven", "missed"
# Where the project sets no limit, and where nothing was measured.
NO_LIMIT, NOT_MEASURED = "no limit", "not measured"

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
    if low is not None and low > limit:
        verdict = MISSED
    elif high is not None and high <= limit:
        verdict = PASSED
    else:
        verdict = UNPROVEN
    return LatencyLimitFacts(name, verdict, _known(value), _known(low), _known(high), limit, tried)


def _known(value: float | None) -> float | None:
    return round(value, 6) if value is not None and math.isfinite(value) else None


def worst(limits: Sequence[LatencyLimitFacts], *, measured: bool = True) -> str:
    """The verdict of all of them."""
    if not measured:
        return NOT_MEASURED
    verdicts = {limit.verdict for limit in limits}
    return next((v for v in (MISSED, UNPROVEN, PASSED) if v in verdicts), NO_LIMIT)
