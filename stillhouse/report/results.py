"""What the models of a report predicted on its test sets, and the judgement on them."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from stillhouse.metrics.classification import ClassificationMetrics, classification_metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

DISPLAY_NAMES = {
    "teacher_zero_shot": "Teacher, zero-shot",
    "teacher": "Teacher",
    "student": "Student",
    "student_quantized": "Student, quantized",
}
NAMES_IN_PROSE = {
    "teacher_zero_shot": "zero-shot teacher",
    "teacher": "teacher",
    "student": "student",
    "student_quantized": "quantized student",
}
MISSING = "–"


def display_name(model: str) -> str:
    return DISPLAY_NAMES.get(model, model)


def prose_name(model: str) -> str:
    return NAMES_IN_PROSE.get(model, model)


def number(value: float | None, digits: int = 3) -> str:
    """With so many significant digits, never in scientific notation from 0.0001 on."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"


def plain(value: str) -> str:
    """One line of text: control characters, lone surrogates and overrides of the writing direction
    become spaces. They break files, or make a terminal or a page show what isn't there."""
    return " ".join("".join(" " if _is_control(c) else c for c in value).split())


def _is_control(character: str) -> bool:
    # Joiners are format characters too, but many scripts and emoji need them.
    unwanted = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    return unwanted and character not in "\u200c\u200d"


@dataclass(frozen=True, eq=False)
class TaskResult:
    """One model's predictions on one task's test set: gold int [n], probabilities [n, classes]."""

    labels: list[str]
    gold: NDArray[Any]
    probabilities: NDArray[Any]

    @cached_property
    def metrics(self) -> ClassificationMetrics:
        return classification_metrics(self.probabilities, self.gold, self.labels)

    @cached_property
    def predicted(self) -> NDArray[Any]:
        return self.probabilities.argmax(axis=1)

    @cached_property
    def confusion(self) -> NDArray[Any]:
        """Counts, int [gold class, predicted class]."""
        from sklearn.metrics import confusion_matrix

        counts: NDArray[Any] = confusion_matrix(
            self.gold, self.predicted, labels=range(len(self.labels))
        )
        return counts

    @cached_property
    def correct(self) -> NDArray[Any]:
        return self.predicted == self.gold


@dataclass(frozen=True, eq=False)
class ModelResult:
    """`name` is a key of DISPLAY_NAMES, or another model's own; `bytes` is its size on disk."""

    name: str
    parameters: int | None
    bytes: int | None
    tasks: dict[str, TaskResult]

    @property
    def display_name(self) -> str:
        return display_name(self.name)


class Gate(NamedTuple):
    """A limit that was set beforehand, upper or lower, and whether `value` keeps to it."""

    name: str
    passed: bool
    description: str
    value: float | None
    limit: float | None

    @property
    def margin(self) -> str:
        if self.value is None or self.limit is None:
            return ""
        gap = number(abs(self.value - self.limit), digits=2)
        return f"{gap} to spare" if self.passed else f"missed by {gap}"


@dataclass(frozen=True, eq=False)
class ReportInput:
    """What the report shows. Every model's rows of one task are the same examples in one order.

    `samples` holds, by task, the masked text of each row; `learning_curve` a mapping per epoch
    (see `plots.learning_curve`); `provenance` may be nested. Raises ValueError when models of one
    task disagree on its labels or gold, or samples don't fit.
    """

    project: str
    student: str
    teacher_version: str
    results: list[ModelResult]
    created_at: datetime
    samples: dict[str, list[str]] = field(default_factory=dict)
    learning_curve: list[dict[str, Any]] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "gates", [Gate(*gate) for gate in self.gates])
        if len({model.name for model in self.results}) != len(self.results):
            raise ValueError("two results have the same model name")
        for task in self.tasks:
            if task in ("parameters", "bytes"):
                raise ValueError(f"a task cannot be named {task!r}: evaluation.json has that field")
            first, *others = self.of_task(task).values()
            for other in others:
                same_gold = other.gold.tolist() == first.gold.tolist()
                if other.labels != first.labels or not same_gold:
                    raise ValueError(f"task {task!r}: models were tested on different examples")
            if task in self.samples and len(self.samples[task]) != len(first.gold):
                raise ValueError(
                    f"task {task!r}: {len(self.samples[task])} sample texts for "
                    f"{len(first.gold)} examples"
                )

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(task for model in self.results for task in model.tasks))

    def of_task(self, task: str) -> dict[str, TaskResult]:
        return {model.name: model.tasks[task] for model in self.results if task in model.tasks}

    def labels(self, task: str) -> list[str]:
        return next(iter(self.of_task(task).values())).labels

    def model(self, name: str) -> ModelResult | None:
        return next((model for model in self.results if model.name == name), None)

    @property
    def shipped(self) -> ModelResult | None:
        """The model that goes out: the quantized student, or the student where there is none."""
        return self.model("student_quantized") or self.model("student")
