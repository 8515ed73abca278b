"""Classification: one token of the vocabulary, a class token, for each class.

An answer is then one step of a model whatever the classes are called, and a soft label is one
distribution over the class tokens. The classes are the labels of the task's training pairs.
"""

# Queries are composed of names of our own and of quoted settings.
# ruff: noqa: S608

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from stillhouse.config.dataset import ClassificationTask, Task
from stillhouse.errors import UserError
from stillhouse.lm.chat import Asked
from stillhouse.lm.elsewhere import Elsewhere
from stillhouse.lm.prompts import Encoder
from stillhouse.lm.scoring import Embeddings, sequence_probabilities, token_probabilities
from stillhouse.storage.query import counts, one_row
from stillhouse.tasks.common import (
    Answered,
    Examples,
    OfOneText,
    Pair,
    Predictions,
    Row,
    Tally,
    quoted,
)
from stillhouse.tasks.models import answer_ids
from stillhouse.tasks.passages import documents_of, passages_of
from stillhouse.tasks.results import Scored
from stillhouse.tasks.sections import Section

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

GUIDE = "Answer with the name of one of these categories, and nothing else:"


def class_token(task: str, name: str) -> str:
    """The one token that stands for a class; tasks may share the names of classes."""
    return f"<|{task}:{name}|>"


def readable(name: str) -> str:
    """A class as people would write it: `card_arrival` -> `card arrival`; `-` stays."""
    return " ".join(name.replace("_", " ").replace("-", " ").split()) or name


class Classification(OfOneText):
    """A classification task; `classes` are sorted by name."""

    countable = True
    calibrates = True

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
        self._take(found)

    @classmethod
    def learned(cls, task: Task, tokenizer: PreTrainedTokenizerBase) -> Self:
        assert isinstance(task, ClassificationTask)  # noqa: S101 - see `kinds`
        kind = cls.__new__(cls)
        kind.task = task
        before, after = class_token(task.name, "\n").split("\n")
        tokens = [t for t in tokenizer.get_added_vocab() if t.startswith(before)]
        kind._take(t.removeprefix(before).removesuffix(after) for t in tokens)
        return kind

    def _take(self, classes: Iterable[str]) -> None:
        self.classes = sorted(classes)
        self.options: Sequence[str] = self.classes
        self.answer_tokens = {class_token(self.task.name, c): readable(c) for c in self.classes}

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
        _refuse_unknown(task, list(by_class))
        few = {name: n for name, n in sorted(by_class.items()) if n < task.min_examples}
        tally.too_rare |= {f"{task.name}:{name}": n for name, n in few.items()}
        enough = set(by_class) - set(few)
        taken = f"coalesce(label IN ({quoted(enough)}), false)" if enough else "false"
        if enough and task.unlabelled == "teacher":
            # Another label is an answer too, only none of this task's.
            taken += " OR coalesce(label, '') = ''"
        left = one_row(
            f"""SELECT count(*) FILTER (NOT ({taken})) AS n FROM documents WHERE {where}""",
            documents=documents,
        )
        tally.unlabelled += left["n"] - sum(few.values())
        for document in documents_of(documents, f"({where}) AND ({taken})"):
            name = document["label"] or None
            response = None if name is None else class_token(task.name, name)
            passages, skipped = passages_of(document, task)
            tally.passages_left_out += skipped
            for passage in passages:
                yield Pair(document, passage, response, name)

    @staticmethod
    def corrected(task: Task, said: str, labels: Container[str]) -> tuple[str, str | None]:
        name = said.strip()
        if name not in labels:
            raise ValueError("none of the task's classes")
        return class_token(task.name, name), name

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

    @property
    def names(self) -> list[str]:
        """The classes as a model is to write them: in words, where that tells them apart."""
        words = Counter(map(readable, self.classes))
        return [in_words if words[in_words := readable(c)] == 1 else c for c in self.classes]

    def guide(self) -> str:
        said = zip(self.names, map(self._description, self.classes), strict=True)
        return "\n".join([GUIDE, *(": ".join(filter(None, [f"- {n}", d])) for n, d in said)])

    @property
    def undescribed(self) -> list[str]:
        return [c for c in self.classes if not self._description(c)]

    def _description(self, name: str) -> str:
        return " ".join(self.task.classes.get(name, "").split())

    def shown(self, row: Row) -> str:
        return self.names[self.classes.index(row["label"])]

    def longest_answer(self, encoder: Encoder) -> int:
        return max(len(ids) for ids in encoder.texts([f" {name}" for name in self.names])) + 1

    def predict_untrained(
        self,
        model: PreTrainedModel | Elsewhere,
        asked: Asked,
        inputs: Sequence[str],  # noqa: ARG002 - no class stands in its text
    ) -> Predictions:
        """Probabilities [examples, classes], by the classes' names as whole answers."""
        if isinstance(model, Elsewhere):
            return model.choose(asked, self.names, "Asking the teacher")
        return sequence_probabilities(
            model,
            asked.examples,
            asked.form.answers(self.names),
            vocabulary=asked.vocabulary,
            priors=asked.priors,
            description="Asking the teacher",
        )

    def answers(
        self,
        inputs: Sequence[str],  # noqa: ARG002 - no class stands in its text
        predictions: Predictions,
        calibration: Any = None,
    ) -> list[Answered]:
        """The likeliest class of each text."""
        found = []
        for row in _at_temperature(predictions, calibration):
            confidence, place = max((float(p), -i) for i, p in enumerate(row))
            name = self.classes[-place]
            found.append(Answered(class_token(self.task.name, name), name, confidence))
        return found

    def calibrate(self, gold: Sequence[str], predictions: Predictions) -> Any:
        """The temperature; a class that no training pair has teaches nothing of it."""
        import numpy as np

        from stillhouse.metrics.temperature import fit_temperature

        known = [i for i, name in enumerate(gold) if name in self.classes]
        places = [self.classes.index(gold[i]) for i in known]
        probabilities = np.asarray(predictions, float).reshape(-1, len(self.classes))[known]
        return {"temperature": fit_temperature(probabilities, places)}

    def score(
        self,
        gold: Sequence[str],
        predictions: Predictions,
        calibration: Any = None,
    ) -> Scored:
        """A class that no training pair has counts too: every model answers it wrongly."""
        import numpy as np

        from stillhouse.tasks.classification_report import scored

        unknown = sorted(set(gold) - set(self.classes))
        names = self.classes + unknown
        place = {name: i for i, name in enumerate(names)}
        probabilities = _at_temperature(predictions, calibration)
        probabilities = np.pad(probabilities, ((0, 0), (0, len(unknown))))
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


def _at_temperature(predictions: Predictions, calibration: Any) -> NDArray[Any]:
    """Probabilities as they are trusted: those of the model where nothing was learned of them."""
    from stillhouse.metrics.temperature import apply_temperature

    return apply_temperature(predictions, (calibration or {}).get("temperature"))


def _refuse_unknown(task: ClassificationTask, found: Sequence[str]) -> None:
    """A description of no class is a misspelt one."""
    for name in task.classes:
        if name in found:
            continue
        close = difflib.get_close_matches(name, found, n=1)
        meant = f"; did you mean {close[0]!r}?" if close else ""
        raise UserError(
            f"tasks[].classes.{name} of task {task.name}: no document that it may learn from has "
            f"this label{meant}",
            remedy="write the class as its documents do, or remove it.",
        )
