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
    """`computed`, `reused` and `dropped` count input files.

    `ocr_documents` have pages that were read off pictures, `ocr_pages` in all, with the mean
    `ocr_confidence` (0 to 1); lines of less confidence than is asked for, and pages of nothing
    else, are counted and left out.
    """

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
    ocr_documents: int = 0
    ocr_pages: int = 0
    ocr_illegible_pages: int = 0
    ocr_dropped_lines: int = 0
    ocr_confidence: float | None = None


@dataclass(frozen=True)
class DocumentConfidentialityFacts:
    """Documents by their level, and by what gave it: "source", "folder", "marking", "property",
    "rule", or "lowered" where a person's rule set it below what all others say."""

    digest: str
    documents: int
    by_level: dict[str, int]
    by_reason: dict[str, int]


@dataclass(frozen=True)
class CleansedDocumentsFacts:
    """`documents` go on; `left_out` counts the others by why. `removals` and `removed_characters`
    count by reason what was taken out of those that go on (see corpus/cleanse/edits.py); `touched`
    are documents. `by_language` counts documents, `passages_by_language` passages, "unknown" those
    too short to tell. `computed`, `reused` and `dropped` count documents."""

    digest: str
    documents: int
    left_out: dict[str, int]
    touched: int
    removals: dict[str, int]
    removed_characters: dict[str, int]
    by_language: dict[str, int]
    passages_by_language: dict[str, int]
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
class PiiQualityFacts:
    """What masking finds in texts whose personal data is marked; without any, shares are None.

    `masked` spans are covered wholly, by findings of whatever kind, `partly_masked` not wholly.
    `recall` is the share of the former, `recall_low` and `recall_high` its 95 % interval; strict
    figures ask for the same kind. `not_looked_for` are kinds that were marked and that the settings
    don't mask. `unmarked` counts texts that nobody has read yet.
    """

    digest: str
    texts: int
    unmarked: int
    spans: int
    masked: int
    partly_masked: int
    recall: float | None
    recall_low: float | None
    recall_high: float | None
    precision: float | None
    f2: float | None
    strict_recall: float | None
    strict_precision: float | None
    strict_f2: float | None
    recall_by_kind: dict[str, float]
    not_looked_for: list[str]


@dataclass(frozen=True)
class UniqueDocumentsFacts:
    """`unique` counts clusters, `withheld` those of them in which a document is more confidential
    than what is trained on; `label_conflicts` those whose members carry different labels."""

    digest: str
    documents: int
    unique: int
    exact_duplicates: int
    near_duplicates: int
    label_conflicts: int
    by_label: dict[str, int]
    withheld: int = 0


@dataclass(frozen=True)
class ReidentificationRiskFacts:
    """k, l and t of what is detected in the documents (see corpus/reidentification_risk.py): the
    least `k` and `l` and the largest `t` of all, and shares of documents.

    `unique_share` have k = 1 (`unique_documents` of them), `below_5_share` k < 5; those
    `..._without_words` when nobody knows rare words. `one_label_share` of the documents that are
    not unique are told apart by their label: all that something known fits have the same.
    """

    digest: str
    documents: int
    documents_with_any: int
    unique_documents: int
    unique_share: float
    below_5_share: float
    unique_share_without_words: float
    below_5_share_without_words: float
    k: int | None
    l: int | None  # noqa: E741 - its name in the literature
    t: float | None
    one_label_share: float | None
    computed: int


@dataclass(frozen=True)
class InstructionPairsFacts:
    """`by_answer` counts pairs by "task:answer" where a kind of task has countable answers.

    `unlabelled` counts documents that give no pair; those that the teacher is to answer are in
    `by_origin`. `unfit` counts gold answers that are none of the task, by reason, `not_in_text`
    those that were to stand in the text and don't. `retrieval_recall` is how often the passage with
    the answer is among those that are found for the question.
    """

    digest: str
    pairs: int
    words: int
    by_answer: dict[str, int]
    by_source: dict[str, int]
    by_origin: dict[str, int]
    too_confidential: int
    unlabelled: int
    too_rare: dict[str, int]
    passages_left_out: int
    unfit: dict[str, int]
    not_in_text: int
    retrieval_recall: float | None


@dataclass(frozen=True)
class DatasetSplitsFacts:
    """`digests` has one for the gold pairs of each split, and one for those without an answer: a
    new test pair leaves what was trained on as it was.

    `train`, `validation` and `test` count gold pairs, `unlabelled` pairs to learn from that have no
    answer yet. `moved` counts families whose split changed since the last time, to keep the test
    split clean. `rejected` pairs were left out, and `corrected` ones changed, as reviewers said.

    Families `without_time` went to train, where time decides; those `without_group` stand alone.
    `held_out_pairs` were left out of train and validation for `held_out_texts` that may not be
    trained on.
    """

    digest: str
    digests: dict[str, str]
    train: int
    validation: int
    test: int
    unlabelled: int
    moved: int
    unlearnable: list[str]
    rejected: int = 0
    corrected: int = 0
    without_time: int = 0
    without_group: int = 0
    held_out_texts: int = 0
    held_out_pairs: int = 0


@dataclass(frozen=True, kw_only=True)
class ReviewFacts:
    """What people said who reviewed a sample. `overrides` is the digest of what their reviews
    change; `decided` counts pairs with a verdict, `read` those of them that the sample holds.

    Of these so many were accepted, rejected and corrected; `reject_rate` is the share of all
    answers that would not be accepted as they are, with its 95 % interval, over strata that
    somebody read. Reviewers disagree on `contested` pairs; `kappa` is the agreement of the two who
    share most pairs (`read_twice`). Rows of reviews are `unusable` where something is wrong with
    them, `unknown` where there is no such pair (any more).
    """

    overrides: str = ""
    decided: int = 0
    read: int = 0
    accepted: int = 0
    rejected: int = 0
    corrected: int = 0
    unread_strata: int = 0
    reject_rate: float | None = None
    reject_rate_low: float | None = None
    reject_rate_high: float | None = None
    reviewers: int = 0
    contested: int = 0
    read_twice: int = 0
    kappa: float | None = None
    kappa_low: float | None = None
    kappa_high: float | None = None
    unusable: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class ReviewSampleFacts(ReviewFacts):
    """`pairs` are those to be read, from so many `strata`."""

    digest: str
    pairs: int
    strata: int = 0


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
    """A limit that was set beforehand, and whether `value` keeps to it.

    `value` and `limit` are those of `task`, which decided; `by_task` has the values of all.
    """

    name: str
    passed: bool
    description: str
    value: float | None
    limit: float | None
    task: str | None = None
    by_task: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationReportFacts:
    """`figures` by "model_task_figure", for plots over time."""

    digest: str
    test_examples: int
    figures: dict[str, float]
    gates: list[GateFacts]
