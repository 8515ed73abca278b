"""What a report says of how fast a student is, from the latency profile in `evaluation.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from stillhouse.config.student import Gates
from stillhouse.facts import GateFacts, LatencyProfileFacts
from stillhouse.judged import MISSED, PASSED
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
from stillhouse.tasks.sections import Figure, Link, Section, Table

NAME, TITLE = "latency", "Latency and memory"
INTRO = "Measured through its own server, on the machine that the tables name."
# From the folder of the report to that of the profile's page.
PAGE = Link("The whole profile, and how to measure it again", "../latency/latency.html")
CAPTION = (
    "Times are milliseconds, from when a request was due. Bounds are one-sided, 95% each; a dash "
    "stands for too few requests."
)


def latency_json(facts: LatencyProfileFacts) -> dict[str, Any]:
    """What `evaluation.json` says of it; nothing where nothing was measured."""
    return {NAME: asdict(facts)} if facts.levels else {}


def gate(evaluation: Mapping[str, Any], limits: Gates) -> GateFacts | None:  # noqa: ARG001
    """How many of the limits of `latency.limits` are not kept to, or not proven to be; None where
    none is set."""
    found = evaluation.get(NAME)
    if not found or not found["limits"]:
        return None
    facts = _reader().validate_python(found)
    broken = [one.verdict for one in facts.limits if one.verdict != PASSED]
    asks = "Every limit of latency and memory is kept to, on the machine that measured it."
    return GateFacts(
        NAME,
        MISSED not in broken,
        f"{asks} {said(facts)}" if broken else asks,
        float(len(broken)),
        0.0,
        proven=not broken or MISSED in broken,
    )


def sections(evaluation: Mapping[str, Any]) -> list[Section]:
    """What was concluded, with curves; the tables folded."""
    if NAME not in evaluation:
        return []
    facts = _reader().validate_python(evaluation[NAME])
    tables = [Table(LEVELS, level_rows(facts.levels), CAPTION)]
    if facts.limits:
        tables.append(Table(LIMITS, [cells for _, cells in limit_rows(facts.limits)]))
    if rows := task_rows(facts.levels):
        tables.append(Table(TASKS, rows))
    tables.append(Table(("what", "measured"), about(facts)))
    curves = [Figure(draw, alt, wide=True) for alt, draw in drawn(facts.levels)]
    return [
        Section("What was found", [said(facts)], curves, link=PAGE),
        Section("Load by load", tables=tables, folded=True),
    ]


@cache
def _reader() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(LatencyProfileFacts)
