"""Facts of the latency profile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SpreadFacts:
    """Seconds, of `n` requests: percentiles, and one-sided 95 % bounds of the 95th from below and
    from above, None where `n` is too small for one."""

    n: int
    mean: float
    p50: float
    p95: float
    p99: float
    p95_low: float | None = None
    p95_high: float | None = None


@dataclass(frozen=True)
class LatencyLevelFacts:
    """How a server answered under one load. `loop` is "closed" (`load` callers, each asking again
    as soon as it is answered) or "open" (`load` requests a second arrive). Of `sent` requests,
    `errors` counts those that were not answered, by kind. `whole` is the time to the last token,
    from when a request was due, `first` to the first one, `between` from a token to the next.
    `late` is how late 99 of 100 requests were sent at most: of an open loop's, whether the load
    was what it is called. Without an answer there are no times."""

    loop: str
    load: float
    seconds: float
    sent: int
    answered: int
    errors: dict[str, int]
    requests_per_second: float
    tokens_per_second: float
    late: float
    whole: SpreadFacts | None = None
    first: SpreadFacts | None = None
    between: SpreadFacts | None = None
    by_task: dict[str, SpreadFacts] = field(default_factory=dict)
    given_up: bool = False


@dataclass(frozen=True)
class LatencyLimitFacts:
    """A limit that was set beforehand. `value` is what was found, None where it is beyond any
    number (too many errors), `low` and `high` one-sided 95 % bounds; `verdict` is "passed" where
    `high` keeps to `limit`, "missed" where `value` doesn't, else "unproven"."""

    name: str
    verdict: str
    value: float | None
    low: float | None
    high: float | None
    limit: float
    tried: int


@dataclass(frozen=True)
class LatencyProfileFacts:
    """`levels` in the order in which they were measured, none where nothing was to be. `machine`
    says what measured it, `texts_from` where its texts came from. `peak_bytes` is the most memory
    that the server's processes occupied, `gpu_bytes` of the GPU's. `starts_seconds` is what the
    server took until it answered. `figures` has what is plotted over time and over versions."""

    digest: str
    verdict: str
    levels: list[LatencyLevelFacts]
    limits: list[LatencyLimitFacts]
    machine: dict[str, Any]
    texts: int
    texts_from: str
    prompt_tokens: float | None
    answer_tokens: float | None
    starts_seconds: float | None
    peak_bytes: int | None
    gpu_bytes: int | None
    figures: dict[str, float]
