"""Facts of the steps from pairs to splits, and of reviews."""

from __future__ import annotations

from dataclasses import dataclass


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
