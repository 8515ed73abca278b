"""What each way costs in a month: plain arithmetic, each formula with an example in
docs/economics.md, which the tests reckon again.

Values are by name (see inputs.py); money is in the file's currency, a month a twelfth of a year of
365.25 days.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from stillhouse.economics.inputs import Values

HOURS_A_YEAR = 365.25 * 24
HOURS_A_MONTH = HOURS_A_YEAR / 12
SECONDS_A_MONTH = HOURS_A_MONTH * 3600

STUDENT, TEACHER, API = "student", "teacher", "api."
VOLUME = "requests_per_month"
_OF_MACHINE = (
    *("price", "years", "watts_busy", "watts_idle", "utilisation", "requests_per_second"),
)
_OF_TRAINING = ("price", "years", "watts_busy", "utilisation")
_OF_POWER = ("power.per_kwh", "power.pue")


@dataclass(frozen=True)
class Cost:
    """Of a month: money by item, and how many machines it takes (0 of an API)."""

    volume: float
    items: dict[str, float]
    machines: int = 0

    @property
    def month(self) -> float:
        return sum(self.items.values())

    @property
    def per_thousand(self) -> float:
        return self.month / self.volume * 1000


def needs(way: str) -> list[str]:
    """Names of the values without which the cost of `way` can't be told: "student", "teacher", or
    "api." with the API's name."""
    staff = ["staff.per_year", f"staff.{way.split('.')[0]}"]
    if way.startswith(API):
        prices = [f"{way}.per_million_input", f"{way}.per_million_output"]
        return [VOLUME, *prices, "tokens.input", "tokens.output", *staff]
    own = [VOLUME, *(f"machines.{way}.{name}" for name in _OF_MACHINE), *_OF_POWER, *staff]
    if way == TEACHER:
        return own
    training = [f"machines.training.{name}" for name in _OF_TRAINING]
    times = ["distillation.per_year", "distillation.hours"]
    return [*own, *training, *times, "labelling.per_hour", "labelling.hours_per_year"]


def cost(way: str, values: Values, volume: float | None = None) -> Cost:
    """Of `volume` requests a month (those of the file if left out). `values` has all of `needs`."""
    asked = values[VOLUME] if volume is None else volume
    items: dict[str, float] = {}
    machines = 0
    if way.startswith(API):
        items["tokens"] = tokens(way, values, asked)
    else:
        machines = machines_for(way, values, asked)
        items["hardware"] = machines * amortisation(way, values)
        items["power"] = power(way, values, asked, machines)
    items["staff"] = values["staff.per_year"] * values[f"staff.{way.split('.')[0]}"] / 12
    if way == STUDENT:
        runs = values["distillation.per_year"] / 12 * values["distillation.hours"]
        items["distillation"] = runs * training_hour(values)
        hours = values["labelling.hours_per_year"] / 12
        items["labelling"] = hours * values["labelling.per_hour"]
    return Cost(asked, items, machines)


def capacity(way: str, values: Values) -> float:
    """Requests a month that one machine takes; without end for an API."""
    if way.startswith(API):
        return math.inf
    rate, busy = (values[f"machines.{way}.{n}"] for n in ("requests_per_second", "utilisation"))
    return rate * busy * SECONDS_A_MONTH


def machines_for(way: str, values: Values, volume: float) -> int:
    """At least one: a machine that stands idle was bought all the same."""
    # A volume that is just full is not one more for the last digit of a float.
    return max(1, math.ceil(volume / capacity(way, values) - 1e-9))


def amortisation(machine: str, values: Values) -> float:
    """Of one machine in a month: its price in equal parts over its years."""
    return values[f"machines.{machine}.price"] / (values[f"machines.{machine}.years"] * 12)


def power(way: str, values: Values, volume: float, machines: int) -> float:
    """Of all machines in a month: busy as long as requests take, idle the rest of the time."""
    busy = volume / values[f"machines.{way}.requests_per_second"] / 3600
    idle = machines * HOURS_A_MONTH - busy
    watts = (values[f"machines.{way}.watts_{state}"] for state in ("busy", "idle"))
    kwh = sum(h * w for h, w in zip((busy, idle), watts, strict=True)) / 1000
    return kwh * values["power.pue"] * values["power.per_kwh"]


def training_hour(values: Values) -> float:
    """An hour of the training machine: the part of its price that falls to an hour in use, and its
    power. Whatever else it is used for bears the rest of its price."""
    price, years, watts, busy = (values[f"machines.training.{name}"] for name in _OF_TRAINING)
    used = years * HOURS_A_YEAR * busy
    return price / used + watts / 1000 * values["power.pue"] * values["power.per_kwh"]


def tokens(way: str, values: Values, volume: float) -> float:
    """What an API asks in a month."""
    asked = values["tokens.input"] * values[f"{way}.per_million_input"]
    answered = values["tokens.output"] * values[f"{way}.per_million_output"]
    return volume * (asked + answered) / 1e6
