"""What stops a run before anything is learned, and what its report only says."""

from __future__ import annotations

import dagster as dg
import pytest

from stillhouse.assets import dataset, teacher
from stillhouse.assets.dataset import learned_check
from stillhouse.assets.teacher import chance_check

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


def test_answers_that_nobody_can_learn_are_named_and_stop_nothing() -> None:
    """The report says of how many test examples no model can be right."""
    result = learned_check([f"routing:class \x1b[31m{i} {'x' * 99}" for i in range(9)])
    assert (result.passed, result.severity) == (False, WARN)
    said = str(result.description)
    assert "routing:class [31m0 xx" in said and "… and 1 more. No model can learn" in said
    assert "`splits.seed`" in said and "\x1b" not in said and len(said) < 900
    assert result.metadata["answers"].value == 9
    assert not any(spec.blocking for spec in dataset.answers_are_learned.check_specs)
    assert learned_check([]).passed and learned_check([]).description is None


@pytest.mark.parametrize(
    ("score", "chance", "passed", "severity", "said"),
    [
        (0.9, 0.4, True, ERROR, "None"),
        (0.4, 0.4, False, ERROR, "nothing to teach"),
        (0.1, 0.4, False, ERROR, "nothing to teach"),
        (1.0, 1.0, False, WARN, "the same answer"),
        (0.8, 1.0, False, WARN, "the same answer"),
    ],
)
def test_a_teacher_that_is_no_better_than_one_answer_stops_the_run_where_that_can_be_told(
    score: float, chance: float, passed: bool, severity: dg.AssetCheckSeverity, said: str
) -> None:
    result = chance_check(score, chance)
    assert (result.passed, result.severity) == (passed, severity)
    assert said in str(result.description)
    assert all(spec.blocking for spec in teacher.teacher_better_than_chance.check_specs)
