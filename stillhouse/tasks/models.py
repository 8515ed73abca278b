"""A model beside its tasks: the tokens of their answers, its scores over all of them, and whether
it has learned them or answers in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.config.base import settings_of
from stillhouse.config.teacher import TeacherPrompt
from stillhouse.errors import UserError
from stillhouse.lm.prompts import Encoder
from stillhouse.lm.scoring import Embeddings
from stillhouse.storage.files import read_json, write_json
from stillhouse.tasks.common import Examples, Kind
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


def score_all(
    model: PreTrainedModel,
    encoder: Encoder,
    splits: Sequence[Examples],
    *,
    embeddings: Embeddings | None = None,
    whole: PreTrainedModel | None = None,
) -> list[Scored]:
    """The predictions of a model that learned its tasks, scored: as an epoch of training needs it.

    With `embeddings`, `model` is the upper part of the `whole` one, which writes answers out.
    """
    found = []
    for split in splits:
        kind = split.kind
        if kind.answer_tokens:
            predictions = kind.predict(model, encoder, split, embeddings=embeddings)
        else:
            predictions = kind.predict(whole or model, encoder, split, thorough=False)
        found.append(kind.score(split.gold, predictions))
    return found


def mean_figures(scored: Sequence[Scored]) -> dict[str, float]:
    """Means over tasks, of the figures that all of them have."""
    names = [n for n in scored[0].figures if all(n in other.figures for other in scored)]
    return {n: sum(s.figures[n] for s in scored) / len(scored) for n in names}


def mean_score(scored: Sequence[Scored]) -> float:
    """The mean headline metric over tasks."""
    return sum(s.score for s in scored) / len(scored)


def figures_of_epoch(scored: Sequence[Scored]) -> dict[str, float]:
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
    """The validation split as `score` finds it after each epoch, and at the end that of the best
    one: to write every answer out again would cost as much as the last epoch's did."""

    def __init__(self, score: Callable[[], list[Scored]]) -> None:
        self._score = score
        self._epochs: list[list[Scored]] = []

    def of_epoch(self) -> dict[str, float]:
        self._epochs.append(self._score())
        return figures_of_epoch(self._epochs[-1])

    def of_best(self, epochs_since: int) -> list[Scored]:
        """Of the epoch so many before the last, whose weights the model has again; scored anew
        where an earlier process scored it."""
        known = epochs_since < len(self._epochs)
        return self._epochs[-1 - epochs_since] if known else self._score()


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
