from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stillhouse.tasks.models import Validation
from stillhouse.tasks.results import Scored


def scored(score: float) -> list[Scored]:
    found = Scored(
        n=1, score=score, right=np.array([True]), figures={}, metrics={}, table={},
        calibration_error=None, detail=None,
    )  # fmt: skip
    return [found]


def test_the_best_epoch_is_not_scored_again() -> None:
    scores: Iterator[float] = iter([0.3, 0.9, 0.5])
    validation = Validation(lambda: scored(next(scores)))
    assert [validation.of_epoch()["score"] for _ in range(3)] == [0.3, 0.9, 0.5]
    assert validation.of_best(1)[0].score == 0.9


def test_one_that_an_earlier_process_scored_is() -> None:
    scores: Iterator[float] = iter([0.5, 0.9])
    validation = Validation(lambda: scored(next(scores)))
    validation.of_epoch()
    assert validation.of_best(1)[0].score == 0.9
    assert next(scores, None) is None
