"""What goes into the formulas, by name: from the price file, else as it was measured here."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pydantic import BaseModel

from stillhouse.economics.prices import Figure, Prices

# Where the file gives no range.
ASSUMED = 0.2


@dataclass(frozen=True)
class Input:
    """A figure with its range; `value` None is unknown. `measured` tells that it is from here; of
    what is from the file, `day` is when it was true."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    source: str = ""
    measured: bool = False
    day: datetime.date | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """How far it may be off: as the file says, or by ASSUMED where it doesn't. A share stays
        one, and power usage effectiveness at 1 or above."""
        value = self.value or 0.0
        low = value * (1 - ASSUMED) if self.low is None else self.low
        high = value * (1 + ASSUMED) if self.high is None else self.high
        return max(low, LEAST.get(self.name, 0.0)), min(high, 1.0) if self.is_share else high

    @property
    def is_share(self) -> bool:
        head, _, last = self.name.rpartition(".")
        return last == "utilisation" or (head == "staff" and last != "per_year")


LEAST = {"power.pue": 1.0}

Inputs = dict[str, Input]
Values = Mapping[str, float]


def inputs_of(prices: Prices, measured: Mapping[str, Input]) -> Inputs:
    """By name, as "machines.student.price" or "api.NAME.per_million_input"; what the file leaves
    empty is what was `measured`, if it was."""
    found = {name: _input(name, figure, prices) for name, figure in _figures(prices)}
    return {
        name: measured[name] if one.value is None and name in measured else one
        for name, one in found.items()
    }


def values_of(inputs: Inputs) -> dict[str, float]:
    """Those that are known."""
    return {name: one.value for name, one in inputs.items() if one.value is not None}


def _input(name: str, figure: Figure, prices: Prices) -> Input:
    day = figure.date or prices.as_of
    if figure.value is None:
        return Input(name, None)
    source = f"{figure.source}, {day}"
    return Input(name, figure.value, figure.low, figure.high, source, day=day)


def _figures(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, Figure]]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Figure):
            yield f"{prefix}{name}", value
        elif isinstance(value, BaseModel):
            yield from _figures(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            for item in value:
                yield from _figures(item, f"{prefix}{name}.{item.name}.")


def at(inputs: Inputs, name: str, value: float) -> Inputs:
    """The same with one figure at another value."""
    return inputs | {name: replace(inputs[name], value=value)}
