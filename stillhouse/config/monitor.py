"""Sections of monitoring: request logs of production, what counts as drift, and A/B tests."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stillhouse.config.base import AssetName, Fraction, Section, Slug


class TaskOf(Section):
    """Which task a line of a log belongs to: what its `field` says (a dotted path; `task` or
    `metadata.task` if left out), by `names` where it has another name there."""

    field: str | None = None
    names: dict[str, AssetName] = {}


class FeedbackOf(Section):
    """Where a line of a log says what became of its answer, as dotted paths (`scores.0.value`):
    `score` whether it was right (0..1, true or false, or such a word), `answer` the right one,
    `metric` a number that it led to. In feedback that `stillhouse serve` took the first two are
    known, and a metric is at `metrics.NAME`."""

    score: str | None = None
    answer: str | None = None
    metric: str | None = None


class Traffic(Section):
    """Logs of requests, as globs; without any nothing is read. `models` says which student a model
    is that is served under another name. Of what is read, the share `sample` is kept, at most
    `max_requests` of it, the newest, for `retention_days`."""

    logs: list[str] = []
    format: Literal["auto", "openai", "litellm", "serve"] = "auto"
    task: TaskOf = TaskOf()
    models: dict[str, AssetName] = {}
    feedback: FeedbackOf = FeedbackOf()
    retention_days: Annotated[float, Field(gt=0)] = 90
    sample: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_requests: Annotated[int, Field(ge=1)] = 100_000


class AbTest(Section):
    """Whether a student may take the place of what answers now, seen on `requests` of traffic.

    It is compared `against` the release in `production` (with the teacher, where there is none), by
    their `agreement` with the teacher, or by the `outcome`: feedback, and right answers in the log.
    It is not inferior where it is surely worse by less than `margin`. With `alpha` as the risk of
    saying so wrongly, over all looks together, one at each `look_every` requests; more requests are
    asked for so that a student as good as the other is told with a probability of `power`.

    All of these are fixed before the test: with others, another test begins.
    """

    against: Literal["production", "teacher"] = "production"
    measure: Literal["agreement", "outcome"] = "agreement"
    margin: Annotated[float, Field(gt=0, le=0.5)] = 0.03
    requests: Annotated[int, Field(ge=20)] = 1000
    look_every: Annotated[int, Field(ge=10)] = 100
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.05
    power: Annotated[float, Field(ge=0.5, lt=1)] = 0.8
    seed: int = 7


class Drift(Section):
    """How traffic is compared with what a student learned from, and from when on it has drifted.

    Compared are the last `window_days` of traffic, at most `texts` of each side and at least
    `min_texts`; of the reference only texts of `sources`, if any are named. The teacher answers
    `teacher_requests` of the requests.

    It has drifted where a difference is no chance (of all tests together, in `false_alarms` of an
    unchanged stream at most one would say so) and over its limit: `auc` of telling the two apart,
    `psi` of lengths, components and classes, `novel` the share of requests like nothing in the
    reference (of an unchanged stream 0.05), `unknown_words` the rise of their share in a text,
    `confidence` its drop and `disagreement` its rise, in points.
    """

    window_days: Annotated[float, Field(gt=0)] = 28
    texts: Annotated[int, Field(ge=50, le=4000)] = 1000
    min_texts: Annotated[int, Field(ge=20)] = 50
    sources: list[Slug] = []
    teacher_requests: Annotated[int, Field(ge=0)] = 200
    seed: int = 7
    false_alarms: Annotated[float, Field(gt=0, le=0.2)] = 0.05
    auc: Annotated[float, Field(ge=0.5, le=1.0)] = 0.65
    psi: Annotated[float, Field(gt=0)] = 0.2
    novel: Fraction = 0.08
    unknown_words: Fraction = 0.05
    confidence: Fraction = 0.05
    disagreement: Fraction = 0.1
    cool_down_days: Annotated[float, Field(ge=0)] = 7
