"""A kind of task whose answers are texts, in a few lines: for tests of what is above the kinds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.dataset import SummarizationTask, Task
from stillhouse.lm.prompts import Encoder, Example
from stillhouse.lm.scoring import Embeddings
from stillhouse.tasks.common import Pair, Predictions, Tally
from stillhouse.tasks.results import Scored
from stillhouse.tasks.sections import Section

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Written:
    """Models are all of the same opinion, and half right."""

    countable = False
    task: SummarizationTask

    def __init__(self, task: Task, dataset: Path) -> None:
        assert isinstance(task, SummarizationTask)
        self.task = task
        self.answer_tokens: dict[str, str] = {}

    @staticmethod
    def pairs(task: Task, documents: Path, where: str, tally: Tally) -> Iterator[Pair]:
        return iter(())

    @property
    def meaning(self) -> Any:
        return None

    def predict(
        self,
        model: PreTrainedModel,
        encoder: Encoder,
        examples: Sequence[Example],
        *,
        embeddings: Embeddings | None = None,
    ) -> Predictions:
        return ["" for _ in examples]

    def predict_untrained(
        self, model: PreTrainedModel, encoder: Encoder, examples: Sequence[Example]
    ) -> Predictions:
        return ["" for _ in examples]

    def score(self, gold: Sequence[str], predictions: Predictions) -> Scored:
        import numpy as np

        right = np.zeros(len(gold), dtype=bool)
        return Scored(len(gold), 0.5, right, {"accuracy": 0.5}, {}, {}, None, None)

    def chance(self, gold: Sequence[str]) -> float:
        return 0.0

    def sections(self, results: Mapping[str, Scored], texts: Sequence[str]) -> list[Section]:
        return []


def written_task(name: str = "gist") -> SummarizationTask:
    return SummarizationTask(name=name, kind="summarization", sources=["tickets"])


def written_pairs(pairs: Sequence[dict[str, Any]], task: str = "gist") -> list[dict[str, Any]]:
    """The pairs of a classification again, answered with a text of their own."""
    return [
        row
        | {
            "task": task,
            "pair_id": f"{task}-{row['pair_id']}",
            "instruction": "Say it in a word or two.",
            "response": f" {row['label']} {row['input'][:5]}",
            "label": f"{row['label']} {row['input'][:5]}",
        }
        for row in pairs
    ]
