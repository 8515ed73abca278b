"""Looks at a running comparison: few false alarms however often one looks, and none twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stillhouse.config.monitor import AbTest
from stillhouse.facts import AbLookFacts
from stillhouse.metrics.sequential import boundaries
from stillhouse.monitor.ab.looks import (
    INFERIOR,
    NON_INFERIOR,
    OPEN,
    SPENT,
    due,
    errors_away,
    estimate,
    look,
    needed,
    verdict_of,
    with_error,
)
from stillhouse.monitor.ab.record import Record

TERMS = AbTest(margin=0.05, requests=800, look_every=100)


def run(
    values: np.ndarray, groups: np.ndarray | None = None, terms: AbTest = TERMS
) -> list[AbLookFacts]:
    """Look after each 200 requests until one tells."""
    groups = np.arange(len(values)) if groups is None else groups
    looks: list[AbLookFacts] = []
    for n in range(200, len(values) + 1, 200):
        new = look(values[:n], values[:n], list(groups[:n]), looks, terms)
        assert new is not None
        looks.append(new)
        if verdict_of(looks, terms) != OPEN:
            break
    return looks


@pytest.mark.parametrize(
    ("differing", "per_group"), [(0.05, 1), (0.25, 1), (0.25, 4)], ids=["losses", "both", "groups"]
)
def test_false_alarms_stay_rare_however_often_one_looks(differing: float, per_group: int) -> None:
    """A candidate that is worse by just the margin is rarely called not inferior: also one that
    never wins, whose first requests all look alike, and where requests come in groups."""
    rng, sims, margin = np.random.default_rng(11), 3000, TERMS.margin
    wins = (differing - margin) / 2
    shares = [wins + margin, 1 - differing, wins]
    every = TERMS.requests // per_group
    values = per_group * rng.choice([-1.0, 0.0, 1.0], p=shares, size=(sims, every))
    counts = range(TERMS.look_every // per_group, every + 1, TERMS.look_every // per_group)
    bounds = boundaries([n / every for n in counts], TERMS.alpha)
    wrong, once = np.zeros(sims, bool), np.zeros(sims, bool)
    for n, bound in zip(counts, bounds, strict=True):
        mean, error = with_error(values[:, :n], np.full((sims, n), float(per_group)), margin)
        wrong |= mean - errors_away(bound.nominal, n) * error > -margin
        once |= mean - 1.645 * error > -margin
    # And two standard errors of so many draws.
    assert wrong.mean() <= 0.05 + 2 * (0.05 * 0.95 / sims) ** 0.5
    assert once.mean() > 1.8 * wrong.mean()  # what looking without correction costs


def test_a_candidate_as_good_is_told_early_and_a_worse_one_too() -> None:
    rng = np.random.default_rng(1)
    good = run(rng.choice([-1.0, 0.0, 1.0], p=[0.02, 0.96, 0.02], size=800))
    assert verdict_of(good, TERMS) == NON_INFERIOR and good[-1].requests < 800
    bad = run(rng.choice([-1.0, 0.0], p=[0.3, 0.7], size=800))
    assert verdict_of(bad, TERMS) == INFERIOR and bad[-1].requests == 200
    unsure = run(rng.choice([-1.0, 0.0, 1.0], p=[0.32, 0.4, 0.28], size=800))
    assert verdict_of(unsure, TERMS) == SPENT and unsure[-1].fraction == 1
    assert unsure[-1].spent == pytest.approx(TERMS.alpha)
    assert needed(unsure[-1], TERMS) is None or needed(unsure[-1], TERMS) > 800  # type: ignore[operator]


def test_requests_that_belong_together_count_as_one() -> None:
    values = np.tile([1.0, -1.0, 0.0, 0.0], 25)
    alone = estimate(values, range(100), 0.01)
    together = estimate(values.repeat(5), np.arange(100).repeat(5), 0.01)
    assert together[1] == pytest.approx(alone[1], rel=0.01) and together[2] == 100
    # Requests that all are answered alike don't prove that all others would be.
    none_differs = estimate(np.zeros(100), range(100), 0.05)
    assert none_differs[:2] == (0.0, pytest.approx((0.05 * 0.95 / 100) ** 0.5))
    assert look([0.0] * 9, [0.0] * 9, range(9), [], TERMS) is None


def test_what_is_not_known_widens_the_interval() -> None:
    known = look([0.0] * 400, [0.0] * 400, range(400), [], TERMS)
    half = look([-1.0] * 40 + [0.0] * 360, [1.0] * 40 + [0.0] * 360, range(400), [], TERMS)
    assert known is not None and half is not None
    assert half.low < known.low - 0.1 and half.high > known.high + 0.1
    # Of several tasks, any would do for a false alarm of the other kind.
    several = look([0.0] * 400, [0.0] * 400, range(400), [], TERMS, tasks=4)
    assert several is not None and several.low == known.low and several.high > known.high


@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_no_interval_is_wider_than_differences_can_be(value: float) -> None:
    found = look([value] * 400, [value] * 400, range(400), [], TERMS)
    assert found is not None and found.difference == value
    assert -1 <= found.low < found.high <= 1


def test_a_look_is_due_when_enough_came_and_never_twice_at_the_same() -> None:
    first = look([0.0] * 150, [0.0] * 150, range(150), [], TERMS)
    assert first is not None
    assert [n for n in (50, 99, 100, 150) if due(n, [], TERMS)] == [100, 150]
    assert [n for n in (90, 150, 249, 250, 800) if due(n, [first], TERMS)] == [250, 800]
    few = AbTest(requests=120, look_every=100)
    second = look([0.0] * 120, [0.0] * 120, range(120), [], few)
    assert second is not None and not due(120, [second], few)


def test_the_record_goes_on_with_a_test_and_remembers_others(tmp_path: Path) -> None:
    record = Record(tmp_path)
    one = record.test("terms 1", "routing", "a b")
    first = look([0.0] * 150, [0.0] * 150, range(150), [], TERMS)
    assert first is not None
    one.looks.append(first)
    record.write(tmp_path)
    again = Record(tmp_path)
    assert again.test("terms 1", "routing", "a b") == one
    other = again.test("terms 2", "routing", "a b")
    assert again.earlier(other) == 1 and again.earlier(again.tests[0]) == 0
    assert again.earlier(again.test("terms 3", "routing", "a c")) == 0
