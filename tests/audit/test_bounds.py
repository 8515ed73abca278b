"""Intervals hold the truth as often as they say, and their points are the textbook's."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest

from stillhouse.audit.bounds import (
    Area,
    area,
    canaries_needed,
    mean_exposure,
    over_tasks,
    rate,
)
from stillhouse.audit.exposure import Exposed, by_repeats, exposure_of


def test_nothing_found_in_few_attempts_proves_little() -> None:
    assert rate(0, 2000).high == pytest.approx(1 - 0.025 ** (1 / 2000))  # about 3.7 / n
    assert rate(0, 2000).high < 0.005 < rate(0, 300).high
    assert (rate(0, 0).low, rate(0, 0).high) == (0, 1)


def test_a_secret_never_seen_has_an_exposure_of_1_44_bits_on_average() -> None:
    random = np.random.default_rng(1)
    likelier = random.integers(0, 1001, 800)
    found = [exposure_of(float(k), 1000).value for k in likelier]
    assert np.mean(found) == pytest.approx(1 / np.log(2), abs=0.12)
    # Of six of them the mean's interval holds it about 95 times in 100.
    means = [mean_exposure(random.choice(found, 6)) for _ in range(400)]
    inside = np.mean([m.low <= 1 / np.log(2) <= m.high for m in means])
    assert 0.92 <= inside <= 0.98


def test_so_many_secrets_are_needed_that_a_model_that_never_saw_them_can_pass() -> None:
    never = 1 / np.log(2)
    needed = canaries_needed(5.0)
    assert mean_exposure([never] * needed).high <= 5 < mean_exposure([never] * (needed - 1)).high
    assert canaries_needed(6.0) <= needed < canaries_needed(2.0)
    assert canaries_needed(1.0) == 0  # no model could, however many there are


def test_a_secret_that_is_the_likeliest_is_known_as_far_as_was_tried() -> None:
    found = exposure_of(0, 200)
    assert found.value == found.high == log2(201)
    assert found.low == pytest.approx(-log2(1 - 0.025 ** (1 / 200)))
    nothing = exposure_of(200, 200)
    assert (nothing.value, nothing.low) == (0, 0)


def test_the_area_is_how_often_a_member_has_the_higher_score() -> None:
    assert area([2, 3], [1, 2]).value == (1 + 0.5 + 1 + 1) / 4
    random, inside = np.random.default_rng(2), 0
    truth = 0.7602  # of normal scores one deviation apart: Phi(1 / sqrt(2))
    for _ in range(300):
        found = over_tasks([area(random.normal(1, 1, 60), random.normal(0, 1, 40))])
        inside += found.low <= truth <= found.high
    assert 0.91 <= inside / 300 <= 0.98


def test_few_texts_that_are_told_apart_by_luck_do_not_count_most() -> None:
    lucky, plenty = area([2.0, 3.0], [0.0, 1.0]), Area(0.5, 0.001, 150, 150)
    assert lucky.value == 1 and lucky.variance > 0
    assert over_tasks([lucky, plenty]).value < 0.51
    assert over_tasks([]).high == 1


def test_a_mean_exposure_is_never_more_than_candidates_can_tell() -> None:
    keys = {"form": "digits", "written": True, "repeats": 1, "bits": 20.0, "log_prob": -1.0}
    known = [Exposed(str(n), exposure=exposure_of(0, 50), **keys) for n in range(3)]  # type: ignore[arg-type]
    (found,) = by_repeats(known).values()
    assert (found.value, found.high) == pytest.approx((log2(51), log2(51)))
    assert found.low < 4
    assert mean_exposure([1.0, 2.0], 13).high == mean_exposure([1.0, 2.0]).high < 13
