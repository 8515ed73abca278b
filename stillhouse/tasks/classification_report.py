"""How answers of a classification task are scored, and what a report shows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from stillhouse.metrics.classification import ClassificationMetrics, classification_metrics
from stillhouse.tasks.classification_plots import MOST_ANNOTATED_CLASSES, confusion_matrix
from stillhouse.tasks.results import Scored, names_of, prose_name, shipped
from stillhouse.tasks.samples import Given, sample_groups
from stillhouse.tasks.section_builders import (
    COMPARED_MODELS,
    calibration_section,
    check_same_examples,
    f1_sections,
)
from stillhouse.tasks.sections import Figure, Section, Table
from stillhouse.wording import MISSING

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEADLINE = "accuracy"
# Column title of the report's table -> metric; the same metrics are plotted over time.
TABLE = {"Accuracy (95% CI)": "accuracy", "Macro-F1": "macro_f1", "ECE": "ece"}
MOST_CONFUSIONS = 10


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a `Scored` of this kind holds in `detail`: gold and predicted int [n], probabilities
    [n, classes] with a column for each of `labels`."""

    labels: list[str]
    gold: NDArray[Any]
    predicted: NDArray[Any]
    probabilities: NDArray[Any]
    metrics: ClassificationMetrics

    @property
    def right(self) -> NDArray[Any]:
        found: NDArray[Any] = self.predicted == self.gold
        return found

    def named(self, classes: NDArray[Any]) -> list[str]:
        return [self.labels[i] for i in classes]

    def said(self) -> tuple[list[str], list[str]]:
        """Gold and given classes."""
        return self.named(self.gold), self.named(self.predicted)

    def confusion(self) -> NDArray[Any]:
        """Counts, int [gold class, predicted class]."""
        from sklearn.metrics import confusion_matrix

        classes = range(len(self.labels))
        counts: NDArray[Any] = confusion_matrix(self.gold, self.predicted, labels=classes)
        return counts


def scored(labels: Sequence[str], gold: NDArray[Any], probabilities: NDArray[Any]) -> Scored:
    """Score float [n, classes] against int [n]; `labels` names the classes in column order.

    Raises ValueError as `classification_metrics` does.
    """
    import numpy as np

    gold, probabilities = np.asarray(gold), np.asarray(probabilities)
    metrics = classification_metrics(probabilities, gold, labels)
    predicted = probabilities.argmax(axis=1)
    right, sure = predicted == gold, np.minimum(probabilities.max(axis=1), 1.0)
    return Scored(
        n=metrics.n,
        score=metrics.accuracy,
        right=right,
        figures={name: float(getattr(metrics, name)) for name in TABLE.values()},
        metrics=metrics.to_json(),
        table=TABLE,
        calibration_error=metrics.ece,
        detail=Predictions(list(labels), gold, predicted, probabilities, metrics),
        headline=HEADLINE,
        confidence=sure,
        trusted=(sure, right, np.arange(len(gold))),
    )


def sections(results: Mapping[str, Scored], texts: Sequence[str]) -> list[Section]:
    """What the report shows of one task: model -> its scored answers on the examples `texts`.

    Raises UserError when the models were tested on different examples.
    """
    found: dict[str, Predictions] = {model: x.detail for model, x in results.items()}
    check_same_examples([(x.labels, x.gold.tolist()) for x in found.values()])
    first, names = next(iter(found.values())), names_of(results)
    trusted = {m: (x.probabilities.max(axis=1), x.right) for m, x in found.items()}
    compared = {model: found[model] for model in COMPARED_MODELS if model in found}
    shown = [_reading_help(first), *_confusions(found), calibration_section(trusted, names)]
    if compared:
        shown += f1_sections(
            {model: x.metrics.per_class for model, x in compared.items()},
            names,
            thing=("class", "classes"),
            counted="examples",
            explained="F1 is the balance of finding a class's examples and not claiming others'.",
        )
        shown.append(_samples(compared, names, texts))
    return shown


def _reading_help(first: Predictions) -> Section:
    return Section(
        "What the figures mean",
        [
            f"{_classes(len(first.labels))}. Accuracy is the share of right answers, with "
            "the interval in which the true share lies 95 times in 100. Macro-F1 weighs every "
            "class alike, so that rare ones count. ECE, the expected calibration error, is how far "
            "confidence and accuracy lie apart on average; 0 is ideal, and small test sets show a "
            "little more than that even for an ideal model."
        ],
    )


def _confusions(found: Mapping[str, Predictions]) -> list[Section]:
    model = shipped(found)
    if model is None:
        return []
    own = found[model]
    many = len(own.labels) > MOST_ANNOTATED_CLASSES
    explained = (
        f"Confusion matrix of the {prose_name(model)}: each row is a gold class, each column what "
        "the model said. Right answers lie on the diagonal; a dark field off it is a confusion. "
        "The darker, the larger the share of the row"
    )
    counts = own.confusion()
    table = Table(
        ["Gold class", "Taken for", "Examples", "The teacher does so"],
        confusions(own, found.get("teacher")),
        "The most frequent confusions. Those that the teacher shares often come from the data: "
        "classes that overlap, or labels that are wrong.",
    )
    draw = partial(confusion_matrix, counts, own.labels)
    return [
        Section(
            "Which classes are taken for which",
            [f"{explained}." if many else f"{explained}; numbers count examples."],
            [Figure(draw, f"Confusion matrix of the {prose_name(model)}", wide=many)],
            [table] if table.rows else [],
        )
    ]


def confusions(own: Predictions, teacher: Predictions | None) -> list[list[str]]:
    """The most frequent errors first: gold class, class said, "how many of its examples", and how
    often the teacher makes the same error."""
    of_teacher = None if teacher is None else teacher.confusion().tolist()
    errors = [
        (count, own.labels[gold], own.labels[said], sum(row), gold, said)
        for gold, row in enumerate(own.confusion().tolist())
        for said, count in enumerate(row)
        if count and gold != said
    ]
    errors.sort(key=lambda error: (-error[0], error[1:3]))
    return [
        [
            name,
            taken_for,
            f"{count} of {support}",
            MISSING if of_teacher is None else str(of_teacher[gold][said]),
        ]
        for count, name, taken_for, support, gold, said in errors[:MOST_CONFUSIONS]
    ]


def _samples(
    compared: Mapping[str, Predictions], names: Mapping[str, str], texts: Sequence[str]
) -> Section:
    first = next(iter(compared.values()))
    given = {
        names[model]: Given(x.named(x.predicted), x.right, confidence=x.probabilities.max(axis=1))
        for model, x in compared.items()
    }
    return Section(
        "Sample predictions",
        [
            "Test examples, in the masked form that the models saw: ✓ right, ✗ wrong, with the "
            "model's confidence."
        ],
        samples=sample_groups(texts, first.named(first.gold), given),
    )


def _classes(number: int) -> str:
    return "There is one class" if number == 1 else f"There are {number:,} classes"
