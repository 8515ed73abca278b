"""Facts of monitoring."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class ProductionTrafficFacts:
    """`requests` are kept, from `oldest` to `newest`; `by_task` counts them, `answered` those with
    an answer, `rated` those that somebody liked or didn't, `judged` those of which somebody said
    whether, or what, is right, `shadowed` those that a shadow answered too.

    Of all that was ever read from these logs under the present settings: `lines`, requests found
    again (`duplicates`), lines of `feedback`, lines `refused` by reason, and requests by what was
    wrong with their `clock` (see `Clock`). `waiting` last lines are still being written;
    `unreadable` counts logs by reason. `too_old`, `too_many` and `not_sampled` requests were not
    kept. `expires` is when the oldest has to go.
    """

    digest: str
    logs: int
    requests: int
    by_task: dict[str, int]
    answered: int
    rated: int
    lines: int
    duplicates: int
    refused: dict[str, int]
    clock: dict[str, int]
    waiting: int
    unreadable: dict[str, int]
    too_old: int
    too_many: int
    not_sampled: int
    oldest: str | None
    newest: str | None
    expires: str | None
    judged: int
    shadowed: int
    feedback: int

    @property
    def unfinished(self) -> str | None:
        """What doesn't wait for a log to change: requests whose time is over, logs to try again."""
        if self.expires is not None and datetime.fromisoformat(self.expires) < datetime.now(UTC):
            return "requests are older than traffic.retention_days"
        logs = sum(self.unreadable.values())
        return f"{logs} logs could not be read and are tried again" if logs else None


@dataclass(frozen=True)
class DriftTestFacts:
    """A comparison of traffic with the reference. `effect` is what `limit` (a setting of `drift`)
    limits; `p` the probability of so large a difference by chance, `q` that corrected for the
    number of tests by their false discovery rate, `adjusted` by their family-wise error."""

    task: str
    name: str
    limit: str
    effect: float
    p: float
    q: float
    adjusted: float


@dataclass(frozen=True)
class DriftReportFacts:
    """`requests` and `reference` count the texts compared, by task; `too_few` the tasks that had
    too few. `not_compared` says why models' answers were not looked at, by task. `answers` are
    shares of each answer in the reference and in traffic, by task, where they are few; `kept` is
    how many requests lie in the window, `liked` the share of rated ones that somebody liked."""

    digest: str
    kept: int
    window_from: str | None
    window_to: str | None
    requests: dict[str, int]
    reference: dict[str, int]
    too_few: dict[str, int]
    not_compared: dict[str, str]
    tests: list[DriftTestFacts]
    answers: dict[str, dict[str, list[float]]]
    auc: dict[str, float]
    auc_low: dict[str, float]
    auc_high: dict[str, float]
    liked: float | None


@dataclass(frozen=True)
class AbLookFacts:
    """What a look saw: so many `requests` of so many `groups` that belong together, a `fraction` of
    what is planned; the `difference` of the two models, its standard `error`, and the interval
    `low` to `high` that holds over all looks. `z` is how many errors the lower end is away, `spent`
    the risk that all looks up to this one took."""

    requests: int
    groups: int
    fraction: float
    difference: float
    error: float
    low: float
    high: float
    z: float
    spent: float


@dataclass(frozen=True)
class AbTaskFacts:
    """One task's test. `verdict` is non_inferior, inferior, open, or spent (all that was planned
    was seen, and it can't be told); `needed` is how many requests it takes in all, None where no
    number would do, or nothing was seen. Of the `sampled` requests so many are compared, and the
    answers of so many are `mirrored`: those that were given in production.

    `once` is the 95 % interval of a single look, by bootstrap, with its `p`; `better` and `worse`
    count requests that only one of the two answers rightly, with the exact `p_exact`, where answers
    are right or wrong. `alike` is the share that both answer alike, `unknown` that of requests of
    which it is not known how good an answer would have been. `earlier` tests of the same two models
    had other terms. `figures` are further numbers, by name.
    """

    task: str
    verdict: str
    looks: list[AbLookFacts]
    sampled: int
    mirrored: int
    needed: int | None
    once: list[float]
    p: float | None
    better: int | None
    worse: int | None
    p_exact: float | None
    alike: float | None
    unknown: float
    earlier: int
    figures: dict[str, float]


@dataclass(frozen=True)
class AbTestFacts:
    """`against` is what the candidate is compared with, production or teacher, None where nothing
    was compared; `release` is that of production. `why` says what was not compared, by task, or for
    all under "". The terms of the test stand in `terms`."""

    digest: str
    against: str | None
    release: str | None
    measure: str
    terms: dict[str, float]
    tasks: list[AbTaskFacts]
    why: dict[str, str]
