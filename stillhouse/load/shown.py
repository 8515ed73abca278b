"""A latency profile as tables of text: for the page, the report, the terminal and the UI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stillhouse.facts import (
    LatencyLevelFacts,
    LatencyLimitFacts,
    LatencyProfileFacts,
    SpreadFacts,
)
from stillhouse.judged import MISSED, NO_LIMIT, NOT_MEASURED, UNPROVEN, in_words
from stillhouse.load.limits import ASKS
from stillhouse.wording import MISSING, human_bytes, number

LEVELS = (
    *("load", "answered", "errors", "requests/s", "tokens/s"),
    *("p50", "p95", "p95 bounds", "p99", "first token p50", "first token p95"),
    *("between tokens p50", "between tokens p95"),
)
TIMES = 5  # of them, from here on
LIMITS = ("limit", "verdict", "found", "bounds", "at most", "requests")
TASKS = ("load", "task", "answered", "p50", "p95", "p99")


def level_rows(levels: Sequence[LatencyLevelFacts]) -> list[list[str]]:
    """A row a load, under `LEVELS`; times in milliseconds."""
    return [
        [
            called(level),
            f"{level.answered:,} of {level.sent:,}",
            errors_in(level.errors),
            number(level.requests_per_second),
            number(level.tokens_per_second),
            *(_ms(level.whole, name) for name in ("p50", "p95")),
            _between(level.whole),
            _ms(level.whole, "p99"),
            *(_ms(level.first, name) for name in ("p50", "p95")),
            *(_ms(level.between, name) for name in ("p50", "p95")),
        ]
        for level in levels
    ]


def task_rows(levels: Sequence[LatencyLevelFacts]) -> list[list[str]]:
    """By task, of loads that several were asked in, under `TASKS`."""
    return [
        [called(level), task, f"{found.n:,}", *(_ms(found, p) for p in ("p50", "p95", "p99"))]
        for level in levels
        for task, found in level.by_task.items()
    ]


def limit_rows(limits: Sequence[LatencyLimitFacts]) -> list[tuple[str, list[str]]]:
    """The verdict, and cells under `LIMITS`."""
    return [
        (
            one.verdict,
            [
                ASKS.get(one.name, one.name),
                in_words(one.verdict),
                number(one.value),
                f"{number(one.low)} to {number(one.high)}",
                number(one.limit),
                f"{one.tried:,}",
            ],
        )
        for one in limits
    ]


def called(level: LatencyLevelFacts) -> str:
    return f"{level.load:g} at once" if level.loop == "closed" else f"{level.load:g} a second"


def errors_in(errors: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in errors.items()) or "none"


def _ms(found: SpreadFacts | None, name: str) -> str:
    return MISSING if found is None else number(1000 * getattr(found, name))


def _between(found: SpreadFacts | None) -> str:
    if found is None:
        return MISSING
    ends = (found.p95_low, found.p95_high)
    low, high = (MISSING if end is None else number(1000 * end) for end in ends)
    return f"{low} to {high}"


def said(facts: LatencyProfileFacts) -> str:
    """What was found, in a sentence or two."""
    if not facts.levels:
        return "Nothing was to be measured."
    return " ".join(_sentences(facts))


def _sentences(facts: LatencyProfileFacts) -> Iterator[str]:
    least = facts.levels[0]
    if least.whole:
        yield (
            f"With {called(least)}, 95 of 100 answers are whole within "
            f"{number(1000 * least.whole.p95)} ms."
        )
    best = max(facts.levels, key=lambda level: level.requests_per_second)
    yield f"The most were {number(best.requests_per_second)} requests a second, {called(best)}."
    if errors := sum(sum(level.errors.values()) for level in facts.levels):
        sent = sum(level.sent for level in facts.levels)
        yield f"{errors:,} of {sent:,} requests were not answered."
    if any(level.given_up for level in facts.levels):
        yield "The server stopped answering; loads after that were not tried."
    broken = [
        f"{one.name} ({in_words(one.verdict)})" for one in facts.limits if one.verdict != "passed"
    ]
    if broken:
        yield f"Limits that are not kept to, or not proven to be: {', '.join(broken)}."
    elif facts.limits:
        yield f"All {len(facts.limits)} limits are kept to."
    else:
        yield "No limit is set."


def about(facts: LatencyProfileFacts) -> list[tuple[str, str]]:
    """What measured, and what was asked, name by name."""
    machine: Mapping[str, Any] = facts.machine
    found = {
        "machine": ", ".join(
            str(part)
            for part in (machine.get("processor"), f"{machine.get('cores')} cores",
                         f"{machine.get('memory_gb')} GB", *machine.get("gpus", ()))
        ),
        "system": f"{machine.get('system')}, Python {machine.get('python')}, "
        f"torch {machine.get('torch', MISSING)}",
        "texts": f"{facts.texts:,} of {facts.texts_from}" if facts.texts else None,
        "tokens of a prompt, on average": number(facts.prompt_tokens),
        "tokens of an answer, on average": number(facts.answer_tokens),
        "until the server answered": _seconds(facts.starts_seconds),
        "memory of the server, at most": human_bytes(facts.peak_bytes),
        "memory of the GPU, at most": human_bytes(facts.gpu_bytes) if facts.gpu_bytes else None,
    }  # fmt: skip
    return [(name, value) for name, value in found.items() if value is not None]


def _seconds(value: float | None) -> str:
    return MISSING if value is None else f"{value:.1f} s"


MARKS = {MISSED: "missed", UNPROVEN: "unproven", NO_LIMIT: "open", NOT_MEASURED: "open"}
