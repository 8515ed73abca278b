"""What is known of each step's result, as it is written beside it: one frozen dataclass a step.

Numbers and names only. Nothing rendered (plots and tables are made when an asset reports), no
absolute path (a project folder can be moved), nothing of what a document says. `digest` is that of
the content alone: the same content has the same digest whenever, wherever and with whatever
how-it-runs settings it was made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Epoch = dict[str, float]
"""Figures of a training epoch, by name."""


@dataclass(frozen=True)
class SourceFilesFacts:
    """`unread` counts what was seen and is no input, by reason (see corpus/sources.py)."""

    digest: str
    files: int
    bytes: int
    by_source: dict[str, int]
    unread: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ParsedDocumentsFacts:
    """`computed`, `reused` and `dropped` count input files."""

    digest: str
    documents: int
    quarantined: int
    quarantined_by_category: dict[str, int]
    pages: int
    characters: int
    dropped_characters: int
    computed: int
    reused: int
    dropped: int


@dataclass(frozen=True)
class MaskedDocumentsFacts:
    """`computed`, `reused` and `dropped` count documents."""

    digest: str
    documents: int
    documents_with_entities: int
    entities: int
    entities_by_kind: dict[str, int]
    computed: int
    reused: int
    dropped: int


@dataclass(frozen=True)
class UniqueDocumentsFacts:
    """`label_conflicts` counts clusters whose members carry different labels."""

    digest: str
    documents: int
    unique: int
    exact_duplicates: int
    near_duplicates: int
    label_conflicts: int
    by_label: dict[str, int]


@dataclass(frozen=True)
class InstructionPairsFacts:
    """`by_answer` counts pairs by "task:answer" where a kind of task has countable answers."""

    digest: str
    pairs: int
    words: int
    by_answer: dict[str, int]
    by_source: dict[str, int]
    too_confidential: int
    unlabelled: int
    too_rare: dict[str, int]
    passages_left_out: int


@dataclass(frozen=True)
class DatasetSplitsFacts:
    """`digests` has one for each split: a new test pair leaves what was trained on as it was.

    `moved` counts families whose split changed since the last time, to keep the test split clean.
    """

    digest: str
    digests: dict[str, str]
    train: int
    validation: int
    test: int
    moved: int
    unlearnable: list[str]


@dataclass(frozen=True)
class ReviewSampleFacts:
    digest: str
    pairs: int


@dataclass(frozen=True)
class TeacherModelFacts:
    """`vocabulary` counts the rows of the embedding, `bytes` the weights on disk."""

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


@dataclass(frozen=True)
class TrainedFacts:
    """A model that was trained. `scores` are means over tasks on the validation split, `score` that
    of their headline metrics; `history` has an entry an epoch."""

    digest: str
    parameters: int
    bytes: int
    score: float
    scores: dict[str, float]
    best_epoch: int
    stopped_early: bool
    history: list[Epoch]


@dataclass(frozen=True)
class AdaptedTeacherFacts(TrainedFacts):
    """`chance` is what the best constant answer would score on the validation split.

    Of a teacher that answers in words (method "none"): `shots` and `prompt_tokens` of its prompts,
    on average, and how many classes or fields are `undescribed`; `scores` has its figures without
    shots too, as "zero_shot_...".
    """

    method: str
    chance: float
    shots: float | None = None
    prompt_tokens: float | None = None
    undescribed: int | None = None


@dataclass(frozen=True)
class SoftLabelsFacts:
    """`digests` is that of what a student at a temperature decodes, by temperature ("2.0")."""

    digest: str
    digests: dict[str, str]
    header: dict[str, Any]
    pairs_labelled: int
    pairs_reused: int
    tokens: int
    bytes: int
    mean_tail: float
    mean_entropy: float


@dataclass(frozen=True)
class CheckpointFacts(TrainedFacts):
    """`vocabulary` counts the student's tokens."""

    layers: int
    vocabulary: int
    teacher_vocabulary: int


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
    """A limit that was set beforehand, and whether `value` keeps to it."""

    name: str
    passed: bool
    description: str
    value: float | None
    limit: float | None


@dataclass(frozen=True)
class EvaluationReportFacts:
    """`figures` by "model_task_figure", for plots over time."""

    digest: str
    test_examples: int
    figures: dict[str, float]
    gates: list[GateFacts]
