"""What each model's confidence is worth on held-out pairs, before and after its calibration, and
from which confidence on its answers are right often enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stillhouse.metrics.calibration import reliability_bins
from stillhouse.metrics.calibration_error import trust_of
from stillhouse.metrics.classification import wilson_interval
from stillhouse.metrics.selective import (
    Threshold,
    area_under_risk,
    risk_coverage,
    threshold_for,
)
from stillhouse.tasks.results import BASELINE, Scored

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Points of a curve that are kept: more are not told apart.
POINTS = 40


def confidences(scored: Scored) -> NDArray[Any] | None:
    """Of whole answers, float [n]; an answer without one is the least sure. None where no answer
    has any."""
    import numpy as np

    if scored.confidence is None or np.isnan(scored.confidence).all():
        return None
    return np.nan_to_num(scored.confidence, nan=0.0)


def threshold_of(validation: Scored | None, precision: float) -> Threshold | None:
    """Chosen on validation answers alone; None where nothing says how sure they are."""
    sure = None if validation is None else confidences(validation)
    if validation is None or sure is None:
        return None
    return threshold_for(sure, validation.right, precision)


def worth(
    scored: Scored,
    before: Scored | None,
    validation: Scored | None,
    families: Sequence[str],
    precision: float,
) -> dict[str, Any] | None:
    """Figures of one model on one task (JSON values); None where it states no confidence.

    `before` has the same answers as they were before calibration, where there is any.
    """
    trusted = scored.trusted
    if trusted is None or not len(trusted[0]):
        return None
    found: dict[str, Any] = {
        "after": _trust(scored, families),
        "before": None if before is None or before.trusted is None else _trust(before, families),
        "validation": None if validation is None else validation.n,
        "of_answers": len(trusted[0]) == scored.n,
        "reliability": [vars(b) for b in reliability_bins(*trusted[:2])],
        "aurc": None,
        "risk_coverage": [],
        "threshold": None,
    }
    sure = confidences(scored)
    if sure is not None:
        risks = 1.0 - scored.right
        found["aurc"] = area_under_risk(sure, risks)
        found["risk_coverage"] = thinned(risk_coverage(sure, risks))
        chosen = threshold_of(validation, precision)
        if chosen is not None:
            found["threshold"] = _kept(chosen, sure, scored, precision)
    return found


def _trust(scored: Scored, families: Sequence[str]) -> dict[str, Any]:
    assert scored.trusted is not None  # noqa: S101 - see `worth`
    confidence, right, place = scored.trusted
    return trust_of(confidence, right, [families[i] for i in place]).to_json()


def _kept(
    chosen: Threshold, sure: NDArray[Any], scored: Scored, precision: float
) -> dict[str, Any]:
    """A threshold from validation, and what it does on the test split."""
    found = {"wanted": precision, **vars(chosen), "test": None}
    if chosen.value is not None and (above := sure >= chosen.value).any():
        covered, right = int(above.sum()), int(scored.right[above].sum())
        found["test"] = {
            "covered": covered,
            "coverage": covered / scored.n,
            "precision": right / covered,
            "precision_ci": list(wilson_interval(right, covered)),
        }
    return found


def thinned(points: Sequence[Any]) -> list[Any]:
    """At most POINTS of them, evenly, with the first and the last."""
    if len(points) <= POINTS:
        return [list(p) if isinstance(p, tuple) else p for p in points]
    step = (len(points) - 1) / (POINTS - 1)
    return thinned([points[round(i * step)] for i in range(POINTS)])


def all_worth(
    scored: Mapping[str, Mapping[str, Scored]],
    before: Mapping[str, Mapping[str, Scored]],
    validation: Mapping[str, Mapping[str, Scored]],
    families: Mapping[str, Sequence[str]],
    precision: float,
) -> dict[str, dict[str, Any]]:
    """`worth` by task and model; the baseline's is left out, as nobody serves it."""
    found: dict[str, dict[str, Any]] = {}
    for task, of in families.items():
        rows = {
            model: worth(
                answers[task],
                before.get(model, {}).get(task),
                validation.get(model, {}).get(task),
                of,
                precision,
            )
            for model, answers in scored.items()
            if model != BASELINE and task in answers
        }
        found[task] = {model: row for model, row in rows.items() if row is not None}
    return found


def served(calibration: Any, worth_of: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a server is told of a model's confidence on a task: what it is calibrated with, and
    from which confidence on its answers are right often enough (None where that was not shown)."""
    threshold = (worth_of or {}).get("threshold") or {}
    known = dict(calibration or {})
    return {"temperature": None, **known, "threshold": threshold.get("value")}
