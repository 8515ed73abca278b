"""Loads against real processes: what is measured, and what a server's failures are told as."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from stillhouse.config.latency import Latency
from stillhouse.load.figures import between, level_of, mean_tokens
from stillhouse.load.loops import Load, closed_loop, open_loop
from stillhouse.load.profile import SHARES, measure

Asks = Callable[..., Any]
STEP, TOKENS = 0.02, 8


def closed(server: Any, prompts: Any, concurrency: int = 1, **how: Any) -> Load:
    how = {"seconds": 5.0, "requests": 8, "timeout": 5.0, **how}
    return closed_loop(server.target, prompts, concurrency=concurrency, **how)


def test_a_closed_loop_measures_first_token_and_last(server: Any, asks: Asks) -> None:
    load = closed(server, asks("well"), requests=6)
    level = level_of(load)
    assert (level.sent, level.answered, level.errors) == (6, 6, {})
    assert level.whole and level.first and level.between
    for one in load.asked:
        assert one.first - one.due >= STEP  # the role, which comes at once, is no token
        assert one.last - one.first >= 2 * STEP  # three steps, the first of them as it was seen
        # Seven tokens after the first, in three steps: the server counts them.
        assert between(one) == (one.last - one.first) / 7
    assert mean_tokens([load]) == (7, TOKENS)
    assert level.tokens_per_second == pytest.approx(TOKENS * level.requests_per_second, rel=1e-3)
    assert level.requests_per_second <= 1 / (4 * STEP)


def test_callers_ask_side_by_side(server: Any, asks: Asks) -> None:
    load = closed(server, asks("well"), concurrency=6, requests=24)
    assert level_of(load).answered == 24
    begun = sorted(one.sent for one in load.asked)
    assert begun[5] < min(one.last for one in load.asked)  # all six asked before one was answered
    # So many were under way on average (Little 1961).
    assert sum(one.last - one.due for one in load.asked) / load.seconds > 3


@pytest.mark.parametrize(
    ("model", "error"),
    [("404", "4xx"), ("429", "4xx"), ("503", "5xx"), ("302", "malformed"), ("told", "5xx"),
     ("cut", "cut"), ("malformed", "malformed"), ("stalls", "timeout"), ("silent", "timeout"),
     ("nothing", "malformed")],
)  # fmt: skip
def test_each_failure_has_its_name(server: Any, asks: Asks, model: str, error: str) -> None:
    load = closed(server, asks(model, "well"), requests=2, timeout=0.4)
    found = level_of(load)
    assert found.errors == {error: 1}
    assert found.answered == 1 and found.whole and found.whole.n == 1
    assert not load.given_up


@pytest.mark.parametrize("model", ["text", "less"])
def test_a_count_that_is_none_is_not_reckoned_with(server: Any, asks: Asks, model: str) -> None:
    """The parts of the stream are counted then."""
    load = closed(server, asks(model), requests=2)
    assert level_of(load).errors == {}
    assert mean_tokens([load]) == (7, 4)


def test_a_server_that_stalls_is_given_up_in_time(own_server: Any, asks: Asks) -> None:
    server, began = own_server(), time.monotonic()
    settings = Latency(concurrency=[12], seconds=60, timeout=0.5, warmup=0)
    (load,) = measure(server.target, asks("stalls"), settings, "stalls")
    assert time.monotonic() - began < 20
    level = level_of(load)
    assert level.given_up and level.errors == {"timeout": level.sent} and level.answered == 0
    assert level.whole is None and level.requests_per_second == 0


def test_a_server_that_is_killed_is_errors_and_not_a_hang(own_server: Any, asks: Asks) -> None:
    server, began = own_server(), time.monotonic()
    settings = Latency(concurrency=[2, 4], rates=[20.0], seconds=60, timeout=5, warmup=2)
    loads = measure(server.target, asks(*["well"] * 9, "dies"), settings, "dies")
    assert time.monotonic() - began < 20
    (level,) = map(level_of, loads)  # what comes after is not tried
    assert level.given_up and level.answered >= 8
    assert set(level.errors) <= {"cut", "refused"} and level.errors["refused"] >= 8


def test_an_open_loop_asks_a_dead_server_no_longer(own_server: Any, asks: Asks) -> None:
    server, began = own_server(), time.monotonic()
    server.kill()
    load = open_loop(
        server.target, asks("well"), rate=200.0, seconds=60, requests=10_000, timeout=5
    )
    assert time.monotonic() - began < 20
    assert load.given_up and set(level_of(load).errors) == {"refused"}


def test_an_open_loop_counts_from_when_a_request_was_due(server: Any, asks: Asks) -> None:
    """A pause of the server delays all that was due meanwhile: a closed loop hardly sees it."""
    prompts = asks("pauses", *["well"] * 19)
    load = open_loop(server.target, prompts, rate=40.0, seconds=0.5, requests=20, timeout=5, seed=3)
    level = level_of(load)
    assert level.errors == {} and level.sent == len(load.asked) >= 8
    delayed = [one for one in load.asked if one.last - one.due > 0.2]
    assert len(delayed) >= 4
    seen = closed(server, prompts, requests=20)
    assert sum(one.last - one.due > 0.2 for one in seen.asked) < len(delayed) / 2
    # Arrivals are random, and the same from the same seed.
    again = open_loop(server.target, prompts[1:], rate=40.0, seconds=0.5, requests=20, timeout=5,
                      seed=3)  # fmt: skip
    gaps = [
        [round(b.due - a.due, 4) for a, b in pairwise(x)]
        for x in (sorted(run.asked, key=lambda one: one.due) for run in (load, again))
    ]
    assert gaps[0] == pytest.approx(gaps[1], abs=2e-4) and len({*gaps[0]}) > 4


def test_the_rates_of_open_loops_come_of_what_callers_got(server: Any, asks: Asks) -> None:
    settings = Latency(concurrency=[1, 2], seconds=0.3, timeout=5, warmup=1)
    loads = measure(server.target, asks("well"), settings, "well")
    assert [load.loop for load in loads] == ["closed", "closed", "open", "open"]
    most = max(level_of(load).requests_per_second for load in loads[:2])
    assert [load.load for load in loads[2:]] == [round(share * most, 2) for share in SHARES]
    none = measure(server.target, asks("well"), settings.model_copy(update={"rates": []}), "well")
    assert [load.load for load in none] == [1, 2]
