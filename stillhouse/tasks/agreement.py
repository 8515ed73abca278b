"""How right answers in words are: of models whose predictions are not there any more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from stillhouse.metrics.extraction import micro_f1
from stillhouse.tasks.common import Kind
from stillhouse.tasks.writing import Writing, Written

if TYPE_CHECKING:
    from numpy.typing import NDArray


def rightness(kind: Kind, gold: Sequence[str], given: Sequence[str]) -> NDArray[Any]:
    """Float [n] 0..1: how right each of `given` is if `gold` is right; both are labels, or
    responses where the kind has none. Of a score that is a micro F1 it is the F1 of each answer."""
    import numpy as np

    if not gold:
        return np.zeros(0)
    if not isinstance(kind, Writing):
        return np.array([said == right for said, right in zip(given, gold, strict=True)], float)
    scored = kind.score(gold, [asdict(Written(text, 0.0, True)) for text in given])
    if scored.counts is not None:
        return micro_f1(scored.counts)
    return np.asarray(scored.right if scored.values is None else scored.values, float)


def said_as(kind: Kind, answer: str) -> str:
    """An answer as a server gave it: of a class its name, also where an object was asked for that
    holds it."""
    if isinstance(kind, Writing) or not answer.startswith("{"):
        return answer.strip()
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return answer
    values = list(found.values()) if isinstance(found, dict) else []
    return str(values[0]) if len(values) == 1 else answer


def gold_as(kind: Kind, said: str) -> str | None:
    """A right answer as people gave it, as `rightness` takes it; None for what is none of the
    task's."""
    try:
        response, label = kind.corrected(kind.task, said, kind.options)
    except ValueError:
        return None
    return response if label is None else label
