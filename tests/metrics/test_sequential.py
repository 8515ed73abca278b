"""Several looks at one comparison: boundaries against published ones, errors by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from stillhouse.metrics.sequential import boundaries, examples_needed, spent_by


def test_the_boundaries_are_those_of_the_literature() -> None:
    # Five equally spaced looks, two-sided 0.05, O'Brien-Fleming spending: as in the tables of
    # Reboussin et al. (2000), "Computations for group sequential boundaries".
    found = boundaries([0.2, 0.4, 0.6, 0.8, 1.0], 0.025)
    assert [b.z for b in found] == pytest.approx([4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=2e-3)
    assert found[-1].spent == pytest.approx(0.025)


def test_one_look_is_the_ordinary_test() -> None:
    (only,) = boundaries([1.0], 0.05)
    assert only.z == pytest.approx(1.6449, abs=1e-4)
    assert only.nominal == pytest.approx(0.05)
    assert spent_by(0.0, 0.05) == 0.0


def test_many_looks_raise_no_more_false_alarms_than_one_would() -> None:
    fractions = [0.1, 0.25, 0.3, 0.7, 0.9, 1.0]
    bounds = np.array([b.z for b in boundaries(fractions, 0.05)])
    steps = np.diff([0.0, *fractions]) ** 0.5
    drawn = np.random.default_rng(3).normal(size=(200_000, len(steps))) * steps
    z = drawn.cumsum(axis=1) / np.sqrt(fractions)
    assert (z > bounds).any(axis=1).mean() == pytest.approx(0.05, abs=0.002)
    assert (z > 1.6449).any(axis=1).mean() > 0.12  # what looking without correction costs


def test_looks_have_to_move_on() -> None:
    with pytest.raises(ValueError, match="rising"):
        boundaries([0.5, 0.5], 0.05)


def test_as_many_examples_as_are_said_to_be_needed_have_the_power() -> None:
    n = examples_needed(0.05, 0.2, alpha=0.05, power=0.8)
    drawn = np.random.default_rng(5).choice([-1, 0, 1], p=[0.1, 0.8, 0.1], size=(4000, n))
    mean, error = drawn.mean(axis=1), drawn.std(axis=1) / n**0.5
    assert (mean - 1.6449 * error > -0.05).mean() == pytest.approx(0.8, abs=0.03)
    with pytest.raises(ValueError, match="no number"):
        examples_needed(0.02, 0.2, alpha=0.05, power=0.8, difference=-0.03)
