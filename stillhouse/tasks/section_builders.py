"""Sections that reports of several kinds of task show, from plain data.

Models are keys of `results.MODELS`; `names` says what each is called. Data comes as mappings by
model, in the order in which they are shown; the last one is the one that a reader is about to use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from stillhouse.errors import UserError
from stillhouse.metrics.calibration import confidence_metrics, reliability_bins
from stillhouse.tasks.plots import F1, MOST_NAMES_IN_F1, f1_by_name, reliability_diagram
from stillhouse.tasks.results import BASELINE, prose_name, shipped
from stillhouse.tasks.sections import Figure, Section, Table
from stillhouse.wording import MISSING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# Class by class or field by field, a teacher that was not adapted mostly guesses, and a baseline
# has its place in the table of models: here they would only distract.
COMPARED_MODELS = ("teacher", "student", "student_quantized")

Trusted = tuple["ArrayLike", "ArrayLike"]
"""Confidences float [n], 0..1, and whether each was right, bool [n]."""


def check_same_examples(gold: Sequence[Any]) -> None:
    """Raise UserError when models' answers were compared with other gold; one item a model."""
    if any(other != gold[0] for other in gold):
        raise UserError(
            "the models of this report were tested on different examples",
            remedy="make what is out of date again with `stillhouse run`",
        )


def calibration_section(
    trusted: Mapping[str, Trusted], names: Mapping[str, str], *, counted: str = "predictions"
) -> Section:
    """Reliability diagrams of the models (the baseline's is left out), and what the shipped one's
    says; `counted` is what confidences are of."""
    explained = (
        f"Reliability diagrams: {counted} are grouped by the confidence that the model stated, "
        "and each point shows how many of a group were right (lines: 95% interval). On the dashed "
        "diagonal, confidence is honest; below it, the model is over-confident. The lower bars "
        f"show where its {counted} lie."
    )
    model = shipped(trusted)
    reading = [calibration_reading(model, trusted[model], counted)] if model else []
    return Section(
        "Can its confidence be trusted?",
        [" ".join([explained, *reading])],
        [
            Figure(
                partial(
                    reliability_diagram,
                    model,
                    names[model],
                    reliability_bins(confidence, right),
                    confidence_metrics(confidence, right).ece,
                ),
                f"Reliability diagram: {names[model]}",
            )
            for model, (confidence, right) in trusted.items()
            if model != BASELINE
        ],
    )


def calibration_reading(model: str, trusted: Trusted, counted: str = "predictions") -> str:
    """Whether one model's confidence is too high or too low, in plain words."""
    import numpy as np

    confidence, right = (float(np.mean(np.asarray(values))) for values in trusted)
    gap, name = confidence - right, prose_name(model)
    if abs(gap) < 0.01:
        return f"On average, the {name} is about as often right as its confidence says."
    excess = "over-confident" if gap > 0 else "under-confident"
    return (
        f"On average, the {name} is {excess} by {abs(gap) * 100:.1f} points: its mean confidence "
        f"is {confidence:.1%}, and {right:.1%} of its {counted} are right."
    )


def f1_sections(
    scores: Mapping[str, Mapping[str, F1]],
    names: Mapping[str, str],
    *,
    thing: tuple[str, str],
    counted: str,
    explained: str,
) -> list[Section]:
    """F1 of each class or field, as a plot and, folded, as a table: model -> scores by its name.

    `thing` is what is scored, singular and plural; `counted` what its support counts. `explained`
    says what F1 means here.
    """
    last, (one, many) = list(scores)[-1], thing
    # What only some models name has no examples, and stands last.
    listed = list(dict.fromkeys(name for of in scores.values() for name in of))
    found = sum(scores[last][name].support > 0 for name in scores[last])
    hardest = ""
    if found > MOST_NAMES_IN_F1:
        hardest = f" (the {MOST_NAMES_IN_F1} weakest of {found} {many})"
    rows = [
        [
            name,
            str(scores[last][name].support if name in scores[last] else 0),
            *(
                f"{of[name].f1:.3f}" if name in of and of[name].support else MISSING
                for of in scores.values()
            ),
        ]
        for name in listed
    ]
    header = [one.capitalize(), counted.capitalize(), *(f"F1: {names[model]}" for model in scores)]
    says = (
        f"F1 of each {one}, those that the {prose_name(last)} finds hardest on top{hardest}. "
        f"{explained} A gap between the marks is what the {one} lost on the way from teacher to "
        f"student. {many.capitalize()} with few {counted} swing by chance."
    )
    draw = partial(f1_by_name, scores, names, f"test {counted}")
    return [
        Section(
            f"{one.capitalize()} by {one}",
            [says],
            [Figure(draw, f"F1 of each {one}")] if found else [],
        ),
        Section(f"All {many} as a table", tables=[Table(header, rows)], folded=True),
    ]
