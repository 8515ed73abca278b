"""Percentiles, their bounds, and limits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from stillhouse.config.latency import Latency, LatencyLimits
from stillhouse.config.project import load_project
from stillhouse.errors import UserError
from stillhouse.load.figures import bounds, level_of, percentile, share_bounds, spread
from stillhouse.load.limits import judged, worst
from stillhouse.load.loops import Load
from stillhouse.load.request import Asked
from tests.made import MINIMAL


def test_a_percentile_is_a_time_that_was_measured() -> None:
    times = [float(n) for n in range(1, 101)]
    assert [percentile(times, p) for p in (0.5, 0.95, 0.99)] == [50, 95, 99]
    assert [percentile([3.0], p) for p in (0.5, 0.95, 0.99)] == [3, 3, 3]
    assert percentile([float(n) for n in range(1, 21)], 0.95) == 19
    assert spread([]) is None


def test_bounds_hold_as_often_as_they_say() -> None:
    """Of times whose quantile is known, as skewed as latencies are."""
    rng = np.random.default_rng(0)
    true = math.exp(1.6448536)
    for n in (59, 200):
        drawn = np.sort(np.exp(rng.standard_normal((4000, n))), axis=1)
        found = [bounds(row.tolist(), 0.95) for row in drawn]
        assert np.mean([high is not None and high >= true for _, high in found]) >= 0.945
        assert np.mean([low is not None and low <= true for low, _ in found]) >= 0.945
    assert bounds([1.0] * 58, 0.95)[1] is None  # 0.95 ** 58 > 0.05
    assert bounds([1.0] * 59, 0.95)[1] == 1.0
    assert bounds([], 0.95) == (None, None)


def test_bounds_of_a_share() -> None:
    assert share_bounds(0, 59)[1] == pytest.approx(1 - 0.05 ** (1 / 59))
    assert share_bounds(59, 59) == (pytest.approx(0.05 ** (1 / 59)), 1.0)


def loaded(times: list[float], errors: int = 0, loop: str = "closed", load: float = 1) -> Load:
    """Each request was due when the one before ended, and began to answer half-way."""
    found, at = Load(loop, load, 0.0), 0.0
    for time in times:
        found.note(Asked("routing", at, at, at + time / 2, at + time, 3, 10))
        at += time
    for _ in range(errors):
        found.note(Asked("routing", at, at, at, at, 0, None, "timeout"))
    found.seconds = at
    return found


def test_throughput_is_of_what_was_answered_while_requests_were_sent() -> None:
    load = loaded([1.0] * 4)
    load.seconds = 3.5
    level = level_of(load)
    assert level.requests_per_second == pytest.approx(3 / 3.5, abs=1e-4)
    assert level.answered == 4
    load.seconds = 0.5  # nothing was as fast as that
    assert level_of(load).requests_per_second == 1.0


def test_a_limit_is_passed_missed_or_unproven_by_its_bound() -> None:
    limits = LatencyLimits(max_p95_seconds=0.5, max_errors=0.05, max_gigabytes=1.0)

    def verdicts(*loads: Load, peak: int | None = 900_000_000) -> dict[str, str]:
        return {one.name: one.verdict for one in judged(limits, loads, peak)}

    kept = dict.fromkeys(("max_p95_seconds", "max_errors", "max_gigabytes"), "passed")
    assert verdicts(loaded([0.1] * 100)) == kept
    assert verdicts(loaded([0.6] * 100))["max_p95_seconds"] == "missed"
    # Too few to prove it, and enough to see that it is missed.
    assert verdicts(loaded([0.1] * 20))["max_p95_seconds"] == "unproven"
    assert verdicts(loaded([0.6] * 20))["max_p95_seconds"] == "missed"
    assert verdicts(loaded([0.1] * 20))["max_errors"] == "unproven"
    # An error is slower than any limit; its value is no number.
    failing = judged(limits, [loaded([0.1] * 50, errors=50)], None)
    assert [one.verdict for one in failing] == ["missed", "missed", "unproven"]
    assert failing[0].value is None and failing[1].value == 0.5
    assert verdicts(loaded([0.1] * 100), peak=1_100_000_000)["max_gigabytes"] == "missed"
    # Only the level that the limit is of.
    other = loaded([0.1] * 100, load=4)
    assert verdicts(other)["max_p95_seconds"] == "unproven"
    assert worst(judged(limits, [loaded([0.1] * 100)], 1)) == "passed"
    assert worst(judged(limits, [other], 1)) == "unproven"
    assert worst(judged(LatencyLimits(), [other], 1)) == "no limit"
    assert worst([], measured=False) == "not measured"


def test_the_time_to_the_first_token_has_a_limit_of_its_own() -> None:
    limits = LatencyLimits(max_p95_seconds=0.1, max_p95_ttft_seconds=0.15)
    found = judged(limits, [loaded([0.2] * 100)], None)
    assert {one.name: (one.verdict, one.value) for one in found} == {
        "max_p95_seconds": ("missed", pytest.approx(0.2)),
        "max_p95_ttft_seconds": ("passed", pytest.approx(0.1)),
    }


def test_a_limit_of_a_load_that_is_not_measured_is_told(tmp_path: Any) -> None:
    told = "latency: {concurrency: [2], limits: {max_p95_seconds: 1}}\n"
    (tmp_path / "stillhouse.yaml").write_text(MINIMAL + told)
    with pytest.raises(UserError, match=r"latency.*1 is not measured"):
        load_project(tmp_path)
    assert not Latency(concurrency=[], rates=[]).measured
