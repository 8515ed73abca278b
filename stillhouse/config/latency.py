"""The section of the latency profile: how hard a student is asked, and what it is held to."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from stillhouse.config.base import FieldError, Fraction, Section

Positive = Annotated[float, Field(gt=0)]


class LatencyLimits(Section):
    """What a student is held to on the machine that measures it, with `concurrency` callers. Each
    is compared with the far end of a one-sided 95 % bound; None sets no limit.

    95 of 100 answers are whole within `max_p95_seconds`, and begin within `max_p95_ttft_seconds`;
    an error is slower than any limit. `max_errors` is a share of requests, `max_gigabytes` what
    the server may occupy of memory at its peak.
    """

    concurrency: Annotated[int, Field(ge=1)] = 1
    max_p95_seconds: Positive | None = None
    max_p95_ttft_seconds: Positive | None = None
    max_errors: Fraction | None = None
    max_gigabytes: Positive | None = None


class Latency(Section):
    """`concurrency` has how many callers ask at once, a level each, and `rates` how many requests a
    second arrive on average, whatever was answered by then; None stands for 0.5 and 0.8 of the most
    that the callers got answered. A level takes `seconds`, or `requests` if they are sent sooner.
    Before, `warmup` requests are sent that count for nothing. Each is given up after `timeout`
    seconds. `texts` are drawn at random; written answers get `answer_tokens` at most, or their
    task's own number.

    Without `concurrency` and `rates` nothing is measured.
    """

    concurrency: list[Annotated[int, Field(ge=1, le=1024)]] = [1, 2, 4, 8, 16]
    rates: list[Positive] | None = None
    seconds: Positive = 15
    requests: Annotated[int, Field(ge=1)] = 2000
    warmup: Annotated[int, Field(ge=0)] = 32
    timeout: Positive = 30
    texts: Annotated[int, Field(ge=1)] = 500
    answer_tokens: Annotated[int, Field(ge=1)] | None = None
    seed: int = 7
    limits: LatencyLimits = LatencyLimits()

    @property
    def measured(self) -> bool:
        return bool(self.concurrency or self.rates)

    @model_validator(mode="after")
    def _limits_can_be_judged(self) -> Latency:
        limits = self.limits
        asked = (limits.max_p95_seconds, limits.max_p95_ttft_seconds, limits.max_errors)
        if any(limit is not None for limit in asked) and limits.concurrency not in self.concurrency:
            raise FieldError(
                ("latency", "limits", "concurrency"),
                f"{limits.concurrency} is not measured; add it to latency.concurrency, or name one "
                f"of {', '.join(map(str, self.concurrency)) or 'those that you add there'}",
            )
        return self
