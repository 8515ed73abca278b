"""What a student costs beside the other ways, as far as it is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stillhouse.economics.compared import (
    BreakEven,
    Sensitivity,
    break_even,
    curve,
    lacking,
    reference,
    tornado,
    ways,
)
from stillhouse.economics.costs import STUDENT, Cost, cost
from stillhouse.economics.inputs import Inputs, inputs_of, values_of
from stillhouse.economics.measured import measured
from stillhouse.economics.prices import read_prices
from stillhouse.state import State


@dataclass(frozen=True)
class Reckoned:
    """What one student costs. `costs` has each way of which enough is known, `lacking` what the
    others still need; the rest is there where the student is among them, with another way."""

    student: str
    version: str
    currency: str
    as_of: str
    inputs: Inputs
    costs: dict[str, Cost]
    lacking: dict[str, list[str]]
    break_evens: list[BreakEven] = field(default_factory=list)
    reference: str | None = None
    tornado: list[Sensitivity] = field(default_factory=list)
    curve: list[dict[str, float]] = field(default_factory=list)


def reckon(state: State, version: str | None) -> list[Reckoned]:
    """For each student that was measured of this teacher version; none without a price file.

    Raises `ConfigError` where the price file is wrong.
    """
    named = state.project.economics.prices
    if named is None:
        return []
    prices = read_prices(state.project.root / named)
    found = []
    for artefact, _ in state.gathered("evaluation_report"):
        known = {student.name for student in state.project.students}
        if artefact.version == version and artefact.student in known:
            here = measured(state, str(version), str(artefact.student))
            about = (str(artefact.student), str(version), prices.currency, str(prices.as_of))
            found.append(compare(*about, inputs_of(prices, here)))
    return found


def compare(student: str, version: str, currency: str, as_of: str, inputs: Inputs) -> Reckoned:
    """All that can be said with these inputs."""
    values = values_of(inputs)
    missing = {way: lacking(way, inputs) for way in ways(inputs)}
    costs = {way: cost(way, values) for way, names in missing.items() if not names}
    others = [way for way in costs if way != STUDENT]
    about: dict[str, Any] = {
        "costs": costs,
        "lacking": {way: names for way, names in missing.items() if names},
        "curve": curve(values, list(costs)) if costs else [],
    }
    if STUDENT in costs and (beside := reference(values, others)):
        about |= {
            "break_evens": [break_even(values, other) for other in others],
            "reference": beside,
            "tornado": tornado(inputs, beside),
        }
    return Reckoned(student, version, currency, as_of, inputs, **about)
