"""What a report says in words: which models differ, what is kept, where the errors are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from stillhouse.metrics.classification import PairedTest, mcnemar_exact
from stillhouse.report.results import (
    Gate,
    ReportInput,
    TaskResult,
    display_name,
    plain,
    prose_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMPARED = [
    ("student", "teacher"),
    ("student_quantized", "student"),
    ("student_quantized", "teacher"),
]
COMPARED_MODELS = ("teacher", "student", "student_quantized")
SAMPLE_TEXT_LENGTH = 400
# How many sample predictions a report shows of each kind, in this order.
SAMPLE_KINDS = {
    "disagree": ("Where the models disagree", 30),
    "wrong": ("Where all are wrong alike", 15),
    "right": ("Where all are right, least confident first", 10),
}


def comparisons(report: ReportInput, task: str) -> Iterator[tuple[str, str, PairedTest]]:
    """Each pair of COMPARED that the report has: the two models' names and their paired test."""
    results = report.of_task(task)
    for first, second in COMPARED:
        if first in results and second in results:
            yield first, second, mcnemar_exact(results[first].correct, results[second].correct)


def reading(first: str, second: str, test: PairedTest) -> str:
    """A paired test in plain words, for someone who knows no statistics."""
    a, b = (prose_name(x) for x in (first, second))
    split = test.only_first + test.only_second
    if not split:
        return f"The {a} and the {b} are right and wrong on the very same examples."
    p = "p < 0.001" if test.p_value < 0.001 else f"p = {test.p_value:.2g}"
    evidence = f"exact McNemar {p}; only the {a} right: {test.only_first}, only the {b} right: "
    evidence += f"{test.only_second}"
    if test.significant:
        better = "more" if test.difference > 0 else "less"
        return (
            f"The {a} is {better} accurate than the {b} by {abs(test.difference) * 100:.1f} points,"
            f" more than chance explains ({evidence})."
        )
    if test.smallest_significant is None:
        resolution = f"They differ on {split} of them: no test can tell from so little."
    else:
        resolution = (
            "With so much disagreement, a difference below "
            f"{test.smallest_significant * 100:.1f} points cannot be told from chance."
        )
    return (
        f"{test.n:,} test examples are too few to tell the {a} from the {b} ({evidence}). "
        f"{resolution} That is not proof that they are equal."
    )


def headline(report: ReportInput) -> str:
    """One or two sentences: what the shipped model keeps of its teacher, and at what size."""
    shipped, teacher = report.shipped, report.model("teacher")
    if not shipped or not teacher:
        return "There is no student and teacher to compare."
    name, parts = prose_name(shipped.name), []
    for task in (x for x in shipped.tasks if x in teacher.tasks):
        ours, theirs = shipped.tasks[task].metrics.accuracy, teacher.tasks[task].metrics.accuracy
        share = f"{ours / theirs:.1%} of its teacher's accuracy" if theirs else "the accuracy"
        parts.append(f"{share} on {task} ({ours:.3f} against {theirs:.3f})")
    sizes = [
        f"1/{round(of_teacher / of_shipped)} of its {what}"
        for what, of_shipped, of_teacher in (
            ("parameters", shipped.parameters, teacher.parameters),
            ("size on disk", shipped.bytes, teacher.bytes),
        )
        if of_shipped and of_teacher and of_teacher >= 1.5 * of_shipped
    ]
    with_size = f", with {' and '.join(sizes)}" if sizes else ""
    return f"The {name} keeps {'; '.join(parts)}{with_size}."


def verdict(gates: Sequence[Gate]) -> tuple[str, str]:
    """("pass" | "fail" | "none", what to say in one line)."""
    failed = [
        f"{gate.name} ({gate.margin})" if gate.margin else gate.name
        for gate in gates
        if not gate.passed
    ]
    if not gates:
        return "none", "No gates were set"
    if failed:
        return "fail", f"Fails {len(failed)} of {len(gates)} gates: {', '.join(failed)}"
    return "pass", f"Passes all {len(gates)} gates" if len(gates) > 1 else "Passes its gate"


def calibration_reading(model: str, result: TaskResult) -> str:
    """Whether one model's confidence is too high or too low, in plain words."""
    m = result.metrics
    gap = m.mean_confidence - m.accuracy
    name = prose_name(model)
    if abs(gap) < 0.01:
        return f"On average, the {name} is about as often right as its confidence says."
    excess = "over-confident" if gap > 0 else "under-confident"
    return (
        f"On average, the {name} is {excess} by {abs(gap) * 100:.1f} points: its mean confidence "
        f"is {m.mean_confidence:.1%}, and {m.accuracy:.1%} of its predictions are right."
    )


@dataclass(frozen=True)
class Confusion:
    """How often one class is taken for another; `support` is the gold class's examples, `teacher`
    how often the teacher makes the same error (None without a teacher)."""

    gold: str
    predicted: str
    count: int
    support: int
    teacher: int | None


def confusions(report: ReportInput, task: str, most: int = 10) -> list[Confusion]:
    """The shipped model's most frequent errors, the most frequent first."""
    results, shipped = report.of_task(task), report.shipped
    if not shipped or shipped.name not in results:
        return []
    counts, teacher = results[shipped.name].confusion.tolist(), results.get("teacher")
    of_teacher = teacher.confusion.tolist() if teacher else None
    labels = results[shipped.name].labels
    errors = [
        Confusion(
            labels[gold],
            labels[predicted],
            count,
            sum(row),
            None if of_teacher is None else of_teacher[gold][predicted],
        )
        for gold, row in enumerate(counts)
        for predicted, count in enumerate(row)
        if count and gold != predicted
    ]
    return sorted(errors, key=lambda e: (-e.count, e.gold, e.predicted))[:most]


class Prediction(NamedTuple):
    model: str
    label: str
    confidence: float
    right: bool


class Sample(NamedTuple):
    text: str
    gold: str
    predictions: list[Prediction]


class SampleGroup(NamedTuple):
    """`total` counts all of the group's examples, `samples` holds the most telling of them."""

    title: str
    total: int
    samples: list[Sample]


def sample_groups(report: ReportInput, task: str) -> list[SampleGroup]:
    """Sample predictions of COMPARED_MODELS, grouped and limited as SAMPLE_KINDS says.

    First come the last model's errors, by falling confidence, then its right answers by rising
    confidence: what a reader learns most from. A group without examples is left out.
    """
    import numpy as np

    results = {name: x for name, x in report.of_task(task).items() if name in COMPARED_MODELS}
    if task not in report.samples or not results:
        return []
    last = list(results.values())[-1]
    predicted = np.stack([result.predicted for result in results.values()])
    agree = (predicted == predicted[0]).all(axis=0)
    masks = {"disagree": ~agree, "wrong": agree & ~last.correct, "right": agree & last.correct}
    confidence = last.probabilities.max(axis=1)
    order = np.argsort(np.where(last.correct, confidence, -confidence), kind="stable")
    groups = []
    for kind, (title, most) in SAMPLE_KINDS.items():
        rows = [int(row) for row in order if masks[kind][row]]
        if rows:
            shown = [_sample(report.samples[task][row], row, results) for row in rows[:most]]
            groups.append(SampleGroup(title, len(rows), shown))
    return groups


def _sample(text: str, row: int, results: dict[str, TaskResult]) -> Sample:
    first = next(iter(results.values()))
    text = "\n".join(filter(None, map(plain, text.splitlines())))
    short = text if len(text) <= SAMPLE_TEXT_LENGTH else text[: SAMPLE_TEXT_LENGTH - 1] + "…"
    predictions = [
        Prediction(
            display_name(name),
            result.labels[result.predicted[row]],
            float(result.probabilities[row].max()),
            bool(result.correct[row]),
        )
        for name, result in results.items()
    ]
    return Sample(short, first.labels[first.gold[row]], predictions)
