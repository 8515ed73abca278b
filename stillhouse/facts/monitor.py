"""Facts of monitoring."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class ProductionTrafficFacts:
    """`requests` are kept, from `oldest` to `newest`; `by_task` counts them, `answered` those with
    an answer, `rated` those that somebody liked or didn't.

    Of all that was ever read from these logs under the present settings: `lines`, requests found
    again (`duplicates`), lines `refused` by reason, and requests by what was wrong with their
    `clock` (see `Clock`). `waiting` last lines are still being written; `unreadable` counts logs by
    reason. `too_old`, `too_many` and `not_sampled` requests were not kept. `expires` is when the
    oldest has to go.
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
