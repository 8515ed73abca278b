"""A model beside its tasks: the tokens of their answers, its scores over all of them, and whether
it has learned them or answers in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.config.base import settings_of
from stillhouse.config.teacher import TeacherPrompt
from stillhouse.errors import UserError
from stillhouse.lm.following import followed
from stillhouse.lm.prompts import Encoder, Example
from stillhouse.lm.scoring import Embeddings
from stillhouse.storage.files import read_json, write_json
from stillhouse.tasks.common import Examples, Kind, rows_of
from stillhouse.tasks.results import Scored

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ANSWERING = "answering.json"


def answer_ids(kinds: Sequence[Kind], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids of the answer tokens of all tasks, in their order.

    Raises `UserError` when the model lacks one: it was made from another dataset.
    """
    found = []
    for kind in kinds:
        ids = tokenizer.convert_tokens_to_ids(list(kind.answer_tokens))
        if any(i is None or i == tokenizer.unk_token_id for i in ids):
            raise UserError(
                f"task {kind.task.name}: the model lacks tokens of its answers",
                remedy="it was made from another dataset; `stillhouse run` makes it again.",
            )
        found += ids
    return found


def mean_figures(scored: Sequence[Scored | Followed]) -> dict[str, float]:
    """Means over tasks, of the figures that all of them have."""
    names = [n for n in scored[0].figures if all(n in other.figures for other in scored)]
    return {n: sum(s.figures[n] for s in scored) / len(scored) for n in names}


def mean_score(scored: Sequence[Scored | Followed]) -> float:
    """The mean headline metric over tasks."""
    return sum(s.score for s in scored) / len(scored)


@dataclass(frozen=True)
class Followed:
    """How well a model follows the gold answers of a task that are written out, as far as training
    needs it of an epoch: `score` is the share of their tokens that it would have written."""

    score: float
    metrics: dict[str, float]
    figures: dict[str, float] = field(default_factory=dict)


def figures_of_epoch(scored: Sequence[Scored | Followed]) -> dict[str, float]:
    """What training sees of its validation split; "score" is what it maximises.

    Headline metrics move in steps of one example, so among equal ones the lower negative
    log-likelihood wins, where a kind has one.
    """
    figures = mean_figures(scored)
    losses = [float(s.metrics["nll"]) for s in scored if "nll" in s.metrics]
    if losses:
        figures["nll"] = sum(losses) / len(losses)
    return figures | {"score": mean_score(scored) - 1e-3 * min(figures.get("nll", 0.0), 10.0)}


class Validation:
    """The validation `splits` after each epoch, and at the end as the best one answers them.

    An answer that is one token is asked for at every epoch. One that is written out takes a pass a
    token: there an epoch is told by how well the gold answer is followed, in one pass, and only
    what was learned in the end is written. `gold` are the same pairs with their answers, by
    task, of those that are written out.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        encoder: Encoder,
        splits: Sequence[Examples],
        gold: Mapping[str, Sequence[Example]],
        *,
        embeddings: Embeddings | None = None,
        whole: PreTrainedModel | None = None,
    ) -> None:
        self._model, self._encoder, self._splits = model, encoder, splits
        self._gold, self._embeddings, self._whole = gold, embeddings, whole
        self._epochs: list[list[Scored | Followed]] = []

    def of_epoch(self) -> dict[str, float]:
        self._epochs.append([self._seen(split) for split in self._splits])
        return figures_of_epoch(self._epochs[-1])

    def of_best(self, epochs_since: int) -> list[Scored]:
        """Of the epoch so many before the last, whose weights the model has again; what was written
        out, or scored by an earlier process, is scored anew."""
        seen = self._epochs[-1 - epochs_since] if epochs_since < len(self._epochs) else []
        known = dict(zip((split.kind.task.name for split in self._splits), seen, strict=False))
        return [
            found if isinstance(found := known.get(split.kind.task.name), Scored)
            else self._answered(split)
            for split in self._splits
        ]  # fmt: skip

    def _seen(self, split: Examples) -> Scored | Followed:
        examples = self._gold.get(split.kind.task.name)
        if examples is None:
            return self._answered(split)
        share, loss = followed(
            self._model,
            examples,
            pad_id=self._encoder.tokenizer.pad_token_id,
            vocabulary=len(self._encoder.tokenizer),
            embeddings=self._embeddings,
        )
        return Followed(share, {"nll": loss})

    def _answered(self, split: Examples) -> Scored:
        """With embeddings, the model is the upper part of the whole one, which writes answers."""
        kind = split.kind
        if kind.answer_tokens:
            found = kind.predict(self._model, self._encoder, split, embeddings=self._embeddings)
        else:
            model = self._whole or self._model
            found = kind.predict(model, self._encoder, split, thorough=False)
        return kind.score(split.gold, found)


def gold_of_written(
    kinds: Sequence[Kind], dataset: Path, split: str, encoder: Encoder
) -> dict[str, list[Example]]:
    """The pairs of a split with their gold answers, by task, of tasks that are written out."""
    return {
        kind.task.name: [
            example
            for rows in rows_of(dataset, kind.task.name, split)
            for example in encoder.pairs(rows)
        ]
        for kind in kinds
        if not kind.answer_tokens
    }


@dataclass(frozen=True)
class InWords:
    """How a model is asked that never learned its tasks, as a file beside it says: its answer
    tokens mean nothing, and it answers with the first `vocabulary` tokens. `asked` stands for all
    else that prompts are made of, by task."""

    prompt: TeacherPrompt
    vocabulary: int
    asked: dict[str, str]


def mark_untrained(folder: Path, how: InWords) -> None:
    values = {"prompt": settings_of(how.prompt), "vocabulary": how.vocabulary, "asked": how.asked}
    write_json(folder / ANSWERING, {"answers": "in words", **values})


def answers_in_words(folder: Path) -> InWords | None:
    """How the model in `folder` is asked; None for one that learned its tasks."""
    file = folder / ANSWERING
    if not file.exists():
        return None
    values = read_json(file)
    prompt = TeacherPrompt.model_validate(values["prompt"])
    return InWords(prompt, values["vocabulary"], values["asked"])
