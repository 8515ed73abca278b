"""What all kinds of task share: the interface they keep to, and the pairs of a dataset as examples.

A dataset is a Parquet snapshot of `dataset_splits`; its rows are always taken in the order of
their ids, whatever order they lie in.
"""

# Queries are composed of names of our own and of quoted settings.
# ruff: noqa: S608

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

from stillhouse.config.dataset import Task
from stillhouse.errors import UserError
from stillhouse.lm.chat import Asked
from stillhouse.lm.elsewhere import Elsewhere
from stillhouse.lm.prompts import Encoder, Example
from stillhouse.lm.scoring import Embeddings
from stillhouse.storage.query import counts, rows_in_batches
from stillhouse.tasks.results import Scored
from stillhouse.tasks.sections import Section

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Row = dict[str, Any]

Predictions: TypeAlias = "Sequence[Any] | NDArray[Any]"
"""A model's answers to examples, one a row: JSON values, or an array [examples, ...] of them."""


@dataclass(frozen=True)
class Pair:
    """What a document gives: `response` is what a model answers; None where nobody said it, and
    the teacher is to. `label` is what a person reads in its place, where that is something else.

    `asks` is False for a passage of which nothing is asked: the teacher is to do that as well.
    """

    document: Row
    input: str
    response: str | None
    label: str | None = None
    asks: bool = True

    @property
    def origin(self) -> str:
        if not self.asks:
            return "passage"
        return "unlabelled" if self.response is None else "gold"


@dataclass(frozen=True)
class Answered:
    """What a model answered to a pair: the response to learn from, and what a person reads where
    that is something else (`label`, or `value` as JSON). `confidence` 0..1 is that of all of it,
    `parts` of its parts; `refused` says why it is not to be learned from, however sure."""

    response: str
    label: str | None
    confidence: float
    refused: str | None = None
    value: Any = None
    parts: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        answer = self.value if self.value is not None else self.label
        found = {
            "answer": self.response if answer is None else answer,
            "confidence": round(self.confidence, 4),
        }
        parts = {name: round(p, 4) for name, p in self.parts.items()}
        return found | ({"confidence_of": parts} if parts else {})


@dataclass
class Tally:
    """Why documents gave no pair, or fewer than they could: `too_rare` counts them by answer,
    `unfit` gold answers that are none of the task, by "task: reason". `not_in_text` counts gold
    answers that were to stand in the text and don't; they are learned all the same. Of `searched`
    passages so many were `retrieved` among the best."""

    unlabelled: int = 0
    too_rare: dict[str, int] = field(default_factory=dict)
    passages_left_out: int = 0
    unfit: Counter[str] = field(default_factory=Counter)
    not_in_text: int = 0
    searched: int = 0
    retrieved: int = 0


class Kind(Protocol):
    """A kind of task; an instance is one task as a dataset has it.

    What a model has to know to answer comes from the training split alone, so that a test
    document changes no model.
    """

    @property
    def task(self) -> Task: ...

    countable: bool
    """Whether answers are few and come again, so that counting pairs by answer says something."""
    calibrates: bool
    """Whether its confidence is learned on held-out answers."""
    answer_tokens: dict[str, str]
    """Tokens to add to a model, each one an answer, and what they mean in words; may be empty."""

    def __init__(self, task: Task, dataset: Path) -> None: ...

    @classmethod
    def learned(cls, task: Task, tokenizer: PreTrainedTokenizerBase) -> Self:
        """The task as the model of this tokenizer has learned it, which needs no dataset."""
        ...

    options: Sequence[str]
    """What a person reads for each of the answer tokens, in their order."""

    @staticmethod
    def pairs(task: Task, documents: Path, where: str, tally: Tally) -> Iterator[Pair]:
        """Pairs from those `documents` (a Parquet file with the columns of `unique_documents`)
        that meet the SQL condition `where`, in the order of their ids."""
        ...

    @staticmethod
    def corrected(task: Task, said: str, labels: Container[str]) -> tuple[str, str | None]:
        """Response and label of a pair whose answer a person has put right;
        `labels` are those of the task's pairs. Raises `ValueError` that
        says what is wrong, and nothing of the answer, where it is none of the task's."""
        ...

    @property
    def meaning(self) -> Any:
        """JSON value: predictions made under another one can't be read as this task's."""
        ...

    def predict(
        self,
        model: PreTrainedModel,
        encoder: Encoder,
        asked: Examples,
        *,
        embeddings: Embeddings | None = None,
        thorough: bool = True,
    ) -> Predictions:
        """Answers of a model that has learned the task; see `Encoder.prompts`.

        `embeddings` stand in for token ids where answers are tokens, else `model` is a whole one.
        Not `thorough`, only what the score of an epoch needs is predicted.
        """
        ...

    def guide(self) -> str:
        """What a model is told that has not learned the task, beside its instruction; may be
        empty."""
        ...

    @property
    def undescribed(self) -> list[str]:
        """Names of what the guide could describe, and the project file doesn't."""
        ...

    def shown(self, row: Row) -> str:
        """The answer of a pair, as such a model is to write it."""
        ...

    def longest_answer(self, encoder: Encoder) -> int:
        """How many tokens such a model may need for an answer."""
        ...

    def predict_untrained(
        self, model: PreTrainedModel | Elsewhere, asked: Asked, inputs: Sequence[str]
    ) -> Predictions:
        """Answers of a model that has not learned the task, in words.

        Where there are answer tokens: probabilities [examples, tokens], in their order.
        """
        ...

    def answers(
        self, inputs: Sequence[str], predictions: Predictions, calibration: Any = None
    ) -> list[Answered]:
        """What predictions say, as something to learn from and to read."""
        ...

    @staticmethod
    def posed(asked: str | Mapping[str, Any]) -> str | None:
        """The input of a pair from what a user asks: a text, or an object with its fields; None
        where one is missing."""
        ...

    def write(
        self,
        model: PreTrainedModel | Elsewhere,
        encoder: Encoder,
        passages: Sequence[Row],
        shots: Sequence[Row],
    ) -> list[str]:
        """Inputs of pairs from passages of which nothing is asked, as the gold pairs `shots` have
        them; empty where a model finds nothing to ask."""
        ...

    def calibrate(self, gold: Sequence[str], predictions: Predictions) -> Any:
        """What held-out answers teach of the confidence of others (JSON value); None for kinds
        whose confidence is as it is."""
        ...

    def score(
        self, gold: Sequence[str], predictions: Predictions, calibration: Any = None
    ) -> Scored:
        """Predictions against the gold answers of the same pairs; at least one."""
        ...

    def chance(self, gold: Sequence[str]) -> float:
        """The score of the best answer that is always the same."""
        ...

    def baseline(self, training: Sequence[Row], rows: Sequence[Row]) -> tuple[str, Predictions]:
        """What the simplest method worth the name answers to `rows`, having seen `training` (pairs
        with gold answers, at least one): what it is called in words, and its predictions."""
        ...

    def sections(self, results: Mapping[str, Scored], texts: Sequence[str]) -> list[Section]:
        """What a report shows of models' results, by model, on pairs with these texts."""
        ...


class OfOneText:
    """The part of a kind whose inputs are a text and nothing else."""

    @staticmethod
    def posed(asked: str | Mapping[str, Any]) -> str | None:
        return asked if isinstance(asked, str) else asked.get("text")

    def write(
        self,
        model: PreTrainedModel | Elsewhere,  # noqa: ARG002 - there is nothing to ask of a text
        encoder: Encoder,  # noqa: ARG002
        passages: Sequence[Row],
        shots: Sequence[Row],  # noqa: ARG002
    ) -> list[str]:
        return [row["input"] for row in passages]


@dataclass(frozen=True)
class Examples:
    """One split of a task: its pairs' token ids, inputs and gold answers, in the order of their
    ids."""

    kind: Kind
    examples: list[Example]
    inputs: list[str]
    gold: list[str]


def quoted(values: Iterable[str]) -> str:
    """Strings as a list in SQL."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def rows_of(dataset: Path, task: str, split: str) -> Iterator[list[Row]]:
    """The gold pairs of a task's split in batches: pair_id, instruction, input, response, label."""
    return rows_in_batches(
        f"""SELECT pair_id, instruction, input, response, label FROM dataset
            WHERE task = {quoted([task])} AND split = {quoted([split])} AND response IS NOT NULL
            ORDER BY pair_id""",
        dataset=dataset,
    )


def training_rows(dataset: Path, task: str, answers: Path | None = None) -> Iterator[list[Row]]:
    """What a task is learned from: its gold pairs, and those of the table `answers`, which a
    teacher answered (see teacher/answers.py)."""
    if answers is None:
        return rows_of(dataset, task, "train")
    columns = "pair_id, instruction, input, response, label"
    return rows_in_batches(
        f"""SELECT {columns} FROM dataset
            WHERE task = {quoted([task])} AND split = 'train' AND response IS NOT NULL
            UNION ALL SELECT {columns} FROM answers WHERE task = {quoted([task])} AND kept
            ORDER BY pair_id""",
        dataset=dataset,
        answers=answers,
    )


def gold_of(row: Row) -> str:
    """What a pair's answers are scored against."""
    return row["response"] if row["label"] is None else row["label"]


def training_examples(
    kind: Kind, dataset: Path, encoder: Encoder, answers: Path | None = None
) -> Examples:
    """What the task is learned from, prompts with their responses."""
    return _examples(kind, training_rows(dataset, kind.task.name, answers), encoder.pairs)


def prompts_of(kind: Kind, dataset: Path, split: str, encoder: Encoder) -> Examples:
    """A split to predict: prompts alone."""
    return _examples(kind, rows_of(dataset, kind.task.name, split), encoder.prompts)


def _examples(
    kind: Kind, batches: Iterable[list[Row]], encode: Callable[[Sequence[Row]], list[Example]]
) -> Examples:
    found = Examples(kind, [], [], [])
    for rows in batches:
        found.examples.extend(encode(rows))
        found.inputs.extend(row["input"] for row in rows)
        found.gold.extend(gold_of(row) for row in rows)
    return found


def texts_of(dataset: Path, task: str, split: str) -> list[str]:
    """The inputs of a split in the order of `Scored`: what a report samples from."""
    return [row["input"] for rows in rows_of(dataset, task, split) for row in rows]


def require_splits(
    dataset: Path, tasks: Sequence[Task], splits: Sequence[str] = ("train", "validation", "test")
) -> None:
    """Raise `UserError` when a task has no pair in one of `splits`: before time is spent."""
    found = counts(
        "SELECT task || ':' || split, count(*) FROM dataset GROUP BY ALL", dataset=dataset
    )
    for task in tasks:
        empty = [split for split in splits if not found.get(f"{task.name}:{split}")]
        if empty:
            raise UserError(
                f"task {task.name}: no pair in its {' and '.join(empty)} split",
                remedy="add labelled documents to `tasks[].sources`, lower `tasks[].min_examples`, "
                "or raise the shares in `splits`.",
            )
