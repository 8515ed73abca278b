"""Facts of teachers, students and reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stillhouse.facts.dataset import ReviewFacts
from stillhouse.judged import MISSED, NOT_MEASURED, PASSED, UNPROVEN

Epoch = dict[str, float]
"""Figures of a training epoch, by name."""


@dataclass(frozen=True)
class TeacherModelFacts:
    """`vocabulary` counts the rows of the embedding, `bytes` the weights on disk; `license_duties`
    is what the licence obliges a student to."""

    digest: str
    model: str
    license: str
    license_allowed_by: str
    license_stated: list[dict[str, str]]
    architecture: str
    parameters: int
    layers: int
    hidden_size: int
    vocabulary: int
    bytes: int
    license_duties: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class TrainedFacts:
    """A model that was trained. `scores` are means over tasks on the validation split, `score` that
    of their headline metrics; `history` has an entry an epoch. An epoch goes through
    `tokens_per_epoch`, computed in `computed_in` ("bfloat16"); 0 and "" where that is not known."""

    digest: str
    parameters: int
    bytes: int
    score: float
    scores: dict[str, float]
    best_epoch: int
    stopped_early: bool
    history: list[Epoch]
    tokens_per_epoch: int = field(default=0, kw_only=True)
    computed_in: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class AdaptedTeacherFacts(TrainedFacts):
    """`chance` is what the best constant answer would score on the validation split, `by_task` the
    headline score of each task.

    Of a teacher that answers in words (method "none"): `shots` and `prompt_tokens` of its prompts,
    on average, and how many classes or fields are `undescribed`; `scores` has its figures without
    shots too, as "zero_shot_...".
    """

    method: str
    chance: float
    by_task: dict[str, float]
    shots: float | None = None
    prompt_tokens: float | None = None
    undescribed: int | None = None


@dataclass(frozen=True)
class TeacherAnswersFacts(ReviewFacts):
    """What a teacher answered where there was no gold answer, and what people said of a sample of
    it. `kept` are learned from; `dropped`
    counts the others by "task: reason", `shares` the origins of what each task is learned from.
    `computed` and `reused` count pairs."""

    digest: str
    asked: int
    kept: int
    dropped: dict[str, int]
    shares: dict[str, dict[str, float]]
    mean_confidence: dict[str, float]
    not_written: dict[str, str]
    computed: int
    reused: int


@dataclass(frozen=True)
class SoftLabelsFacts:
    """`digests` is that of what a student at a temperature decodes, by temperature ("2.0").

    `encodings` says by task how its labels are kept; `headers` are those of the stores, one for
    each encoding and for each temperature that `sampled` labels were drawn at. `mean_tail` is that
    of `top_k` labels, `mean_entropy`, in nats, that of the probabilities which labels list; None
    where there are no such labels.
    """

    digest: str
    digests: dict[str, str]
    headers: list[dict[str, Any]]
    encodings: dict[str, str]
    pairs_labelled: int
    pairs_reused: int
    tokens: int
    bytes: int
    mean_tail: float | None
    mean_entropy: float | None


@dataclass(frozen=True)
class CheckpointFacts(TrainedFacts):
    """`vocabulary` counts the student's tokens, `canaries` the invented secrets that it was shown
    for its leak audit."""

    layers: int
    vocabulary: int
    teacher_vocabulary: int
    canaries: int = 0


@dataclass(frozen=True)
class QuantizedModelFacts:
    digest: str
    parameters: int
    bytes: int
    bits: int
    group_size: int | None
    quantized_layers: int
    calibration_tokens: int
    warnings: list[str]


@dataclass(frozen=True)
class GateFacts:
    """A limit that was set beforehand, and whether `value` keeps to it (see `stillhouse.judged`).

    `value` and `limit` are those of `task`, which decided; `by_task` has the values of all. `low`
    and `high` are the 95 % interval of `value`, from `n` examples. Where it is kept to and not
    `proven`, about `enough` of them would tell, None where no number would.
    """

    name: str
    passed: bool
    description: str
    value: float | None
    limit: float | None
    task: str | None = None
    by_task: dict[str, float] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    proven: bool = True
    n: int | None = None
    enough: int | None = None

    @property
    def verdict(self) -> str:
        """One of `stillhouse.judged.VERDICTS`."""
        if self.value is None and self.passed:
            return NOT_MEASURED
        return MISSED if not self.passed else PASSED if self.proven else UNPROVEN


@dataclass(frozen=True)
class EvaluationReportFacts:
    """`figures` by "model_task_figure", for plots over time; `edge_failures` names kinds of edge
    cases ("task: kind") of which the shipped model surely fails more than the limit.
    `texts_per_second` is how fast each model answered, by its name: in batches, as the report
    asks, when it was last asked much."""

    digest: str
    test_examples: int
    figures: dict[str, float]
    gates: list[GateFacts]
    texts_per_second: dict[str, float] = field(default_factory=dict)
    edge_cases: int = 0
    edge_failures: list[str] = field(default_factory=list)
