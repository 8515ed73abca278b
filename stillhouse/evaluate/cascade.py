"""The student answers what it is sure of, its teacher or a person the rest: what the pair is worth.

Wanting fewer answers of the costly one, the threshold is chosen on validation pairs; what it does
is measured on test pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stillhouse.evaluate.trust import confidences, thinned
from stillhouse.metrics.extraction import micro_f1
from stillhouse.metrics.paired import mcnemar_exact, paired_bootstrap, paired_bootstrap_f1
from stillhouse.tasks.results import Scored

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Of the best score on validation pairs so much is given up for fewer answers of the teacher.
GIVEN_UP = 0.01
# Of fewer validation pairs no threshold is recommended.
FEWEST = 20


def cascade(
    student: Scored,
    teacher: Scored,
    validation: tuple[Scored, Scored] | None,
    families: Sequence[str],
    *,
    cost_ratio: float,
    threshold: float | None,
    person_cost: float | None = None,
) -> dict[str, Any] | None:
    """Curve and recommended point (JSON values); None where nothing says how sure the student is.

    `validation` has student's and teacher's answers to the validation pairs. `cost_ratio` is what a
    student's answer costs in answers of the teacher; every text costs one of those, and one of the
    teacher's more where it is escalated. `threshold` is that of the wanted precision, below which a
    person may be asked instead; a person is taken to be right.
    """
    sure = confidences(student)
    if sure is None:
        return None
    found: dict[str, Any] = {
        "cost_ratio": cost_ratio,
        "student": student.score,
        "teacher": teacher.score,
        "curve": thinned([_point(student, teacher, sure, t, cost_ratio) for t in _steps(sure)]),
        "rule": {"given_up": GIVEN_UP, "fewest": FEWEST},
        "recommended": None,
        "unsure": _where_unsure(student, teacher, sure),
        "person": None,
    }
    if validation is not None and validation[0].n >= FEWEST:
        found["recommended"] = _recommended(
            student, teacher, sure, validation, families, cost_ratio
        )
    if threshold is not None:
        point = _point(student, _person(student), sure, threshold, cost_ratio)
        cost = None if person_cost is None else cost_ratio + point["escalated"] * person_cost
        found["person"] = {**point, "cost": cost}
    return found


def _steps(sure: NDArray[Any]) -> list[float]:
    """Thresholds that tell the examples apart: from all answered by the student to none."""
    import numpy as np

    levels = np.unique(sure)
    return [0.0, *((levels[:-1] + levels[1:]) / 2).tolist(), float(levels[-1]) + 1e-9]


def _point(
    student: Scored, teacher: Scored, sure: NDArray[Any], threshold: float, ratio: float
) -> dict[str, Any]:
    escalated = sure < threshold
    share = float(escalated.mean())
    return {
        "threshold": threshold,
        "escalated": share,
        "score": _score(student, teacher, escalated),
        "cost": ratio + share,
    }


def _score(student: Scored, teacher: Scored, escalated: NDArray[Any]) -> float:
    """The headline metric of the pair."""
    first, second = _basis(student), _basis(teacher)
    mixed = _mixed(first, second, escalated)
    return float(micro_f1(mixed.sum(axis=0)) if mixed.ndim == 2 else mixed.mean())


def _basis(scored: Scored) -> NDArray[Any]:
    """What the headline metric is of, by example: counts [n, 3], or values [n]."""
    import numpy as np

    if scored.counts is not None:
        return np.asarray(scored.counts, float)
    values = scored.right if scored.values is None else scored.values
    return np.asarray(values, float)


def _mixed(first: NDArray[Any], second: NDArray[Any], escalated: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    where = escalated[:, None] if first.ndim == 2 else escalated
    found: NDArray[Any] = np.where(where, second, first)
    return found


def _person(student: Scored) -> Scored:
    """Answers that are all right."""
    from dataclasses import replace

    import numpy as np

    counts = student.counts
    if counts is not None:
        wanted = np.asarray(counts)[:, 0] + np.asarray(counts)[:, 2]
        counts = np.stack([wanted, np.zeros_like(wanted), np.zeros_like(wanted)], axis=1)
    values = None if student.values is None else np.ones(student.n)
    return replace(student, right=np.ones(student.n, bool), values=values, counts=counts)


def _recommended(
    student: Scored,
    teacher: Scored,
    sure: NDArray[Any],
    validation: tuple[Scored, Scored],
    families: Sequence[str],
    ratio: float,
) -> dict[str, Any]:
    """The least that is escalated for a score within GIVEN_UP of the best on validation pairs."""
    held = confidences(validation[0])
    assert held is not None  # noqa: S101 - the student states a confidence
    points = [_point(*validation, held, t, ratio) for t in _steps(held)]
    best = max(point["score"] for point in points)
    chosen = next(point for point in points if point["score"] >= best - GIVEN_UP)
    test = _point(student, teacher, sure, chosen["threshold"], ratio)
    test["gain"] = _gain(student, teacher, sure < chosen["threshold"], families)
    return {"validation": chosen, "validation_n": validation[0].n, "test": test}


def _gain(
    student: Scored, teacher: Scored, escalated: NDArray[Any], families: Sequence[str]
) -> dict[str, Any]:
    """The pair against the student alone."""
    first = _basis(student)
    mixed = _mixed(first, _basis(teacher), escalated)
    test = (paired_bootstrap_f1 if first.ndim == 2 else paired_bootstrap)(
        mixed, first, groups=families
    )
    return {
        "difference": test.difference,
        "ci": [test.low, test.high],
        "p_value": test.p_value,
        "significant": test.significant,
    }


def _where_unsure(student: Scored, teacher: Scored, sure: NDArray[Any]) -> dict[str, Any]:
    """Both on the half of the examples of which the student is least sure: is it the teacher that
    should answer them?"""
    import numpy as np

    half = np.argsort(sure, kind="stable")[: (len(sure) + 1) // 2]
    test = mcnemar_exact(teacher.right[half], student.right[half])
    return {
        "n": len(half),
        "student_right": int(student.right[half].sum()),
        "teacher_right": int(teacher.right[half].sum()),
        "p_value": test.p_value,
    }
