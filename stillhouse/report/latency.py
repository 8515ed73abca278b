"""What a report says of how fast a student is, from the latency profile in `evaluation.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from stillhouse.facts import LatencyProfileFacts
from stillhouse.load.plots import drawn
from stillhouse.load.shown import (
    LEVELS,
    LIMITS,
    TASKS,
    about,
    level_rows,
    limit_rows,
    said,
    task_rows,
)
from stillhouse.tasks.sections import Figure, Section, Table

NAME, TITLE = "latency", "Latency and memory"


def latency_json(facts: LatencyProfileFacts) -> dict[str, Any]:
    """What `evaluation.json` says of it; nothing where nothing was measured."""
    return {NAME: asdict(facts)} if facts.levels else {}


def latency_section(evaluation: Mapping[str, Any]) -> Section | None:
    """Curves and tables, or None."""
    if NAME not in evaluation:
        return None
    facts = _reader().validate_python(evaluation[NAME])
    tables = [
        Table(LEVELS, level_rows(facts.levels), "Times are milliseconds, from when a request was "
              "due. Bounds are one-sided, 95% each; a dash stands for too few requests.")
    ]  # fmt: skip
    if facts.limits:
        tables.append(Table(LIMITS, [cells for _, cells in limit_rows(facts.limits)]))
    if rows := task_rows(facts.levels):
        tables.append(Table(TASKS, rows))
    tables.append(Table(("what", "measured"), about(facts)))
    return Section(
        TITLE,
        [f"{said(facts)} Measured through its own server, on the machine named below."],
        [Figure(draw, alt, wide=True) for alt, draw in drawn(facts.levels)],
        tables,
    )


@cache
def _reader() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(LatencyProfileFacts)
