"""Classification: one token of the vocabulary, a class token, for each class.

An answer is then one step of a model whatever the classes are called, and a soft label is one
distribution over the class tokens. The classes are the labels of the task's training pairs.
"""

# Queries are composed of names of our own and of quoted settings.
# ruff: noqa: S608

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.dataset import ClassificationTask, Task
from stillhouse.lm.prompts import Encoder
from stillhouse.lm.scoring import Embeddings, sequence_probabilities, token_probabilities
from stillhouse.storage.query import counts
from stillhouse.tasks.common import (
    Answered,
    Examples,
    Pair,
    Predictions,
    Row,
    Tally,
    answer_ids,
    quoted,
)
from stillhouse.tasks.passages import documents_of, passages_of
from stillhouse.tasks.results import Scored
from stillhouse.tasks.sections import Section

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def class_token(task: str, name: str) -> str:
    """The one token that stands for a class; tasks may share the names of classes."""
    return f"<|{task}:{name}|>"


def readable(name: str) -> str:
    """A class as people would write it: `card_arrival` -> `card arrival`."""
    return " ".join(name.replace("_", " ").replace("-", " ").split())


class Classification:
    """A classification task; `classes` are sorted by name."""

    countable = True

    task: ClassificationTask

    def __init__(self, task: Task, dataset: Path) -> None:
        assert isinstance(task, ClassificationTask)  # noqa: S101 - see `kinds`
        self.task = task
        found = counts(
            f"""SELECT label, count(*) FROM dataset
                WHERE task = {quoted([task.name])} AND split = 'train' AND label IS NOT NULL
                GROUP BY label""",
            dataset=dataset,
        )
        self.classes = sorted(found)
        self.answer_tokens = {class_token(task.name, c): readable(c) for c in self.classes}

    @staticmethod
    def pairs(task: Task, documents: Path, where: str, tally: Tally) -> Iterator[Pair]:
        assert isinstance(task, ClassificationTask)  # noqa: S101 - see `kinds`
        wanted = "label <> ''"
        if task.labels is not None:
            wanted += f" AND label IN ({quoted(task.labels)})" if task.labels else " AND false"
        by_class = counts(
            f"SELECT label, count(*) FROM documents WHERE {where} AND {wanted} GROUP BY label",
            documents=documents,
        )
        few = {name: n for name, n in sorted(by_class.items()) if n < task.min_examples}
        tally.too_rare |= {f"{task.name}:{name}": n for name, n in few.items()}
        enough = set(by_class) - set(few)
        for document in documents_of(documents, where):
            # Another label is an answer too, only none of this task's.
            name = document["label"] or None
            if name in enough:
                response = class_token(task.name, name)
            elif name is None and enough and task.unlabelled == "teacher":
                response = None
            else:
                tally.unlabelled += name not in few
                continue
            passages, skipped = passages_of(document, task)
            tally.passages_left_out += skipped
            for passage in passages:
                yield Pair(document, passage, response, name)

    @property
    def meaning(self) -> Any:
        return self.classes

    def predict(
        self,
        model: PreTrainedModel,
        encoder: Encoder,
        asked: Examples,
        *,
        embeddings: Embeddings | None = None,
        thorough: bool = True,  # noqa: ARG002 - there is no more to say
    ) -> Predictions:
        """Probabilities [examples, classes], by class tokens."""
        return token_probabilities(
            model,
            asked.examples,
            answer_ids([self], encoder.tokenizer),
            pad_id=encoder.tokenizer.pad_token_id,
            embeddings=embeddings,
        )

    def predict_untrained(
        self, model: PreTrainedModel, encoder: Encoder, asked: Examples
    ) -> Predictions:
        """Probabilities [examples, classes], by the classes' names as whole sequences."""
        return sequence_probabilities(
            model,
            asked.examples,
            encoder.texts([f" {readable(name)}" for name in self.classes]),
            vocabulary=len(encoder.tokenizer),
            description="Scoring zero-shot",
        )

    def answers(
        self,
        inputs: Sequence[str],  # noqa: ARG002 - no class stands in its text
        predictions: Predictions,
        calibration: Any = None,  # noqa: ARG002 - probabilities are taken as they are
    ) -> list[Answered]:
        """The likeliest class of each text."""
        found = []
        for row in predictions:
            confidence, place = max((float(p), -i) for i, p in enumerate(row))
            name = self.classes[-place]
            found.append(Answered(class_token(self.task.name, name), name, confidence))
        return found

    def write(
        self,
        model: PreTrainedModel,  # noqa: ARG002 - a text is asked its class as it is
        encoder: Encoder,  # noqa: ARG002
        passages: Sequence[Row],
        shots: Sequence[Row],  # noqa: ARG002
    ) -> list[str]:
        return [row["input"] for row in passages]

    def posed(self, asked: str | Mapping[str, Any]) -> str | None:
        return asked if isinstance(asked, str) else asked.get("text")

    def calibrate(self, gold: Sequence[str], predictions: Predictions) -> Any:  # noqa: ARG002
        return None

    def score(
        self,
        gold: Sequence[str],
        predictions: Predictions,
        calibration: Any = None,  # noqa: ARG002 - probabilities are taken as they are
    ) -> Scored:
        """A class that no training pair has counts too: every model answers it wrongly."""
        import numpy as np

        from stillhouse.tasks.classification_report import scored

        unknown = sorted(set(gold) - set(self.classes))
        names = self.classes + unknown
        place = {name: i for i, name in enumerate(names)}
        probabilities = np.pad(np.asarray(predictions, float), ((0, 0), (0, len(unknown))))
        found = scored(names, np.array([place[name] for name in gold]), probabilities)
        found.metrics["unlearnable"] = sum(name in unknown for name in gold)
        return found

    def chance(self, gold: Sequence[str]) -> float:
        return Counter(gold).most_common(1)[0][1] / len(gold)

    def baseline(self, training: Sequence[Row], rows: Sequence[Row]) -> tuple[str, Predictions]:
        from stillhouse.tasks.classification_baseline import NAME, probabilities

        found = probabilities(
            [row["input"] for row in training],
            [row["label"] for row in training],
            [row["input"] for row in rows],
            self.classes,
        )
        return NAME, found

    def sections(self, results: Mapping[str, Scored], texts: Sequence[str]) -> list[Section]:
        from stillhouse.tasks.classification_report import sections

        return sections(results, texts)
