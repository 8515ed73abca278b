"""How answers of a classification task are scored, and what a report shows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from stillhouse.errors import UserError
from stillhouse.metrics.calibration import reliability_bins
from stillhouse.metrics.classification import ClassificationMetrics, classification_metrics
from stillhouse.tasks import classification_plots as plots
from stillhouse.tasks.results import Scored, display_name, prose_name, shipped
from stillhouse.tasks.sections import Answer, Figure, Sample, SampleGroup, Section, Table
from stillhouse.wording import MISSING, plain_lines, shortened

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEADLINE = "accuracy"
# Column title of the report's table -> metric; the same metrics are plotted over time.
TABLE = {"Accuracy (95% CI)": "accuracy", "Macro-F1": "macro_f1", "ECE": "ece"}
# A teacher that was not adapted mostly guesses: class by class, that would only distract.
COMPARED_MODELS = ("teacher", "student", "student_quantized")
MOST_CONFUSIONS = 10
SAMPLE_TEXT_LENGTH = 400
# How many sample predictions a report shows of each kind, in this order.
SAMPLE_KINDS = {
    "disagree": ("Where the models disagree", 30),
    "wrong": ("Where all are wrong alike", 15),
    "right": ("Where all are right, least confident first", 10),
}


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a `Scored` of this kind holds in `detail`: gold and predicted int [n], probabilities
    [n, classes] with a column for each of `labels`."""

    labels: list[str]
    gold: NDArray[Any]
    predicted: NDArray[Any]
    probabilities: NDArray[Any]
    metrics: ClassificationMetrics

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
    return Scored(
        n=metrics.n,
        score=metrics.accuracy,
        right=predicted == gold,
        figures={name: float(getattr(metrics, name)) for name in TABLE.values()},
        metrics=metrics.to_json(),
        table=TABLE,
        calibration_error=metrics.ece,
        detail=Predictions(list(labels), gold, predicted, probabilities, metrics),
        headline=HEADLINE,
    )


def sections(results: Mapping[str, Scored], texts: Sequence[str]) -> list[Section]:
    """What the report shows of one task: model -> its scored answers on the examples `texts`.

    Raises UserError when the models were tested on different examples.
    """
    found: dict[str, Predictions] = {model: x.detail for model, x in results.items()}
    first = next(iter(found.values()))
    for other in found.values():
        if other.labels != first.labels or other.gold.tolist() != first.gold.tolist():
            raise UserError(
                "the models of this report were tested on different examples",
                remedy="make what is out of date again with `stillhouse run`",
            )
    if len(texts) != len(first.gold):
        raise ValueError(f"{len(texts)} texts for {len(first.gold)} examples")
    compared = {model: found[model] for model in COMPARED_MODELS if model in found}
    shown = [_reading_help(first), *_confusions(found), _calibration(found)]
    if compared:
        shown += [*_classes(compared), _samples(compared, texts)]
    return shown


def _reading_help(first: Predictions) -> Section:
    return Section(
        "What the figures mean",
        [
            f"There are {len(first.labels)} classes. Accuracy is the share of right answers, with "
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
    many = len(own.labels) > plots.MOST_ANNOTATED_CLASSES
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
    draw = partial(plots.confusion_matrix, counts, own.labels)
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


def _calibration(found: Mapping[str, Predictions]) -> Section:
    explained = (
        "Reliability diagrams: predictions are grouped by the confidence that the model stated, "
        "and each point shows how many of a group were right (lines: 95% interval). On the dashed "
        "diagonal, confidence is honest; below it, the model is over-confident. The lower bars "
        "show where its predictions lie."
    )
    model = shipped(found)
    reading = [calibration_reading(model, found[model].metrics)] if model else []
    return Section(
        "Can its confidence be trusted?",
        [" ".join([explained, *reading])],
        [
            Figure(
                partial(
                    plots.reliability_diagram,
                    name,
                    reliability_bins(x.probabilities, x.gold),
                    x.metrics.ece,
                ),
                f"Reliability diagram: {display_name(name)}",
            )
            for name, x in found.items()
        ],
    )


def calibration_reading(model: str, metrics: ClassificationMetrics) -> str:
    """Whether one model's confidence is too high or too low, in plain words."""
    gap = metrics.mean_confidence - metrics.accuracy
    name = prose_name(model)
    if abs(gap) < 0.01:
        return f"On average, the {name} is about as often right as its confidence says."
    excess = "over-confident" if gap > 0 else "under-confident"
    return (
        f"On average, the {name} is {excess} by {abs(gap) * 100:.1f} points: its mean confidence "
        f"is {metrics.mean_confidence:.1%}, and {metrics.accuracy:.1%} of its predictions are "
        "right."
    )


def _classes(compared: Mapping[str, Predictions]) -> list[Section]:
    scores = {model: x.metrics.per_class for model, x in compared.items()}
    last, hardest = list(compared)[-1], ""
    labels = compared[last].labels
    if len(labels) > plots.MOST_CLASSES_IN_F1:
        hardest = f" (the {plots.MOST_CLASSES_IN_F1} weakest of {len(labels)} classes)"
    rows = [
        [label, str(scores[last][label].support)]
        + [f"{s[label].f1:.3f}" if s[label].support else MISSING for s in scores.values()]
        for label in labels
    ]
    explained = (
        f"F1 of each class, those that the {prose_name(last)} finds hardest on top{hardest}. F1 is "
        "the balance of finding a class's examples and not claiming others'; a gap between the "
        "marks is what the class lost on the way from teacher to student. Classes with few "
        "examples swing by chance."
    )
    header = ["Class", "Examples", *(f"F1: {display_name(model)}" for model in scores)]
    return [
        Section("Class by class", [explained], [Figure(partial(plots.per_class_f1, scores), "F1")]),
        Section("All classes as a table", tables=[Table(header, rows)], folded=True),
    ]


def _samples(compared: Mapping[str, Predictions], texts: Sequence[str]) -> Section:
    """First the last model's errors, by falling confidence, then its right answers by rising
    confidence: what a reader learns most from."""
    import numpy as np

    last = list(compared.values())[-1]
    predicted = np.stack([x.predicted for x in compared.values()])
    agree, right = (predicted == predicted[0]).all(axis=0), last.predicted == last.gold
    masks = {"disagree": ~agree, "wrong": agree & ~right, "right": agree & right}
    confidence = last.probabilities.max(axis=1)
    order = np.argsort(np.where(right, confidence, -confidence), kind="stable")
    groups = []
    for kind, (title, most) in SAMPLE_KINDS.items():
        rows = [int(row) for row in order if masks[kind][row]]
        if rows:
            samples = [_sample(texts[row], row, compared) for row in rows[:most]]
            groups.append(SampleGroup(title, len(rows), samples))
    return Section(
        "Sample predictions",
        [
            "Test examples, in the masked form that the models saw: ✓ right, ✗ wrong, with the "
            "model's confidence."
        ],
        samples=groups,
    )


def _sample(text: str, row: int, compared: Mapping[str, Predictions]) -> Sample:
    gold = next(iter(compared.values())).gold[row]
    answers = [
        Answer(
            display_name(model),
            x.labels[x.predicted[row]],
            float(x.probabilities[row].max()),
            bool(x.predicted[row] == gold),
        )
        for model, x in compared.items()
    ]
    labels = next(iter(compared.values())).labels
    return Sample(shortened(plain_lines(text), SAMPLE_TEXT_LENGTH), labels[gold], answers)
