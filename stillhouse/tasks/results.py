"""Answers of models on one task, scored: what rooms above may know of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

BASELINE = "baseline"

# The models that are scored side by side, in the order in which they are shown: what each is called
# in a heading, and within a sentence. The baseline comes first: all others must be better.
MODELS = {
    BASELINE: ("Baseline", "baseline"),
    "teacher_zero_shot": ("Teacher, zero-shot", "zero-shot teacher"),
    "teacher": ("Teacher", "teacher"),
    "student": ("Student", "student"),
    "student_quantized": ("Student, quantized", "quantized student"),
    "production": ("Release in production", "release in production"),
}


@dataclass(frozen=True, eq=False)
class Scored:
    """One model's answers on the held-out pairs of one task, in the order of the pairs.

    `score` is the kind's headline metric, 0..1, higher is better, and `headline` what that metric
    is called in a sentence. `right` bool [n] says which pairs are answered exactly right.

    Whether two models differ by more than chance is told from `right` where the score is the share
    of right answers. Where it isn't, from `values` float [n], whose mean is the score; or, where
    the score is a micro F1, from `counts` [n, 3]: what is right, too many, and missed.

    `figures` are numbers to plot over time, `metrics` is what evaluation.json says (JSON
    values; `n`, `kind` and `score` are added by the report). `table` says which of the metrics the
    report's table shows: column title -> name in `metrics`; a metric "x" is shown with its interval
    where there is an "x_ci" (low, high). `calibration_error` is None for kinds without confidences.
    `confidence` float [n] is that of whole answers, NaN where there is none. `trusted` has what
    calibration is measured by, which may be parts of answers: confidences float [m], whether each
    was right, bool [m], and which example it is of, int [m].

    `display` is what the model is called in headings, if not as MODELS says. `detail` belongs to
    the kind; its `said()` gives gold and given answers as a person reads them side by side.
    """

    n: int
    score: float
    right: NDArray[Any]
    figures: dict[str, float]
    metrics: dict[str, Any]
    table: dict[str, str]
    calibration_error: float | None
    detail: Any
    headline: str = "score"
    values: NDArray[Any] | None = None
    counts: NDArray[Any] | None = None
    display: str | None = None
    confidence: NDArray[Any] | None = None
    trusted: tuple[NDArray[Any], NDArray[Any], NDArray[Any]] | None = None


def display_name(model: str, display: str | None = None) -> str:
    """What a model is called in headings: `display` where it is given."""
    return display or (MODELS[model][0] if model in MODELS else model)


def names_of(results: Mapping[str, Scored]) -> dict[str, str]:
    """What each model is called in headings."""
    return {model: display_name(model, scored.display) for model, scored in results.items()}


def prose_name(model: str) -> str:
    return MODELS[model][1] if model in MODELS else model


def shipped(models: Collection[str]) -> str | None:
    """The one that goes out: the quantized student, or the student where there is none."""
    return next((name for name in ("student_quantized", "student") if name in models), None)
