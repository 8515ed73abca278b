"""The price file: its fields, and what makes them wrong.

Every figure has a value, where it is from, and when it was true; a range, where one is known. What
is empty is filled in by what was measured, or what needs it is not compared.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from stillhouse.config import explain
from stillhouse.config.base import FieldError, Section

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Figure(Section):
    """A number with its source and its day; `low` and `high` are how far it may be off, for the
    sensitivities. `value: null` is a figure that nobody filled in yet."""

    value: Amount | None = None
    low: Amount | None = None
    high: Amount | None = None
    source: str = ""
    date: datetime.date | None = None

    @model_validator(mode="after")
    def _is_dated_and_in_its_range(self) -> Figure:
        if self.value is None:
            return self
        if not self.source.strip():
            raise FieldError(("source",), "a value needs one; say where the figure is from")
        low, high = self.low, self.high
        if (low is not None and low > self.value) or (high is not None and high < self.value):
            raise FieldError(("value",), "it doesn't lie between `low` and `high`; correct one")
        return self


def _positive(figure: Figure) -> Figure:
    if 0 in (figure.value, figure.low):
        raise FieldError(("value",), "it has to be more than 0")
    return figure


def _share(figure: Figure) -> Figure:
    if any(number is not None and number > 1 for number in (figure.value, figure.high)):
        raise FieldError(("value",), "it is a share: write 0.05 for 5 %")
    return figure


def _at_least_one(figure: Figure) -> Figure:
    if any(number is not None and number < 1 for number in (figure.value, figure.low)):
        raise FieldError(
            ("value",), "no building uses less power than the machines in it: 1 or more"
        )
    return figure


Positive = Annotated[Figure, AfterValidator(_positive)]
Share = Annotated[Figure, AfterValidator(_share)]
Part = Annotated[Figure, AfterValidator(_positive), AfterValidator(_share)]
Pue = Annotated[Figure, AfterValidator(_at_least_one)]


class Machine(Section):
    """What answers, or trains. `price` buys one, which is written off over `years`; `utilisation`
    is how busy it may be on average, so that peaks find room."""

    price: Figure = Figure()
    years: Positive = Figure()
    watts_busy: Figure = Figure()
    watts_idle: Figure = Figure()
    utilisation: Part = Figure()
    requests_per_second: Positive = Figure()


class Machines(Section):
    student: Machine = Machine()
    teacher: Machine = Machine()
    training: Machine = Machine()


class Power(Section):
    """`pue`: power usage effectiveness, what the building takes for each watt of its machines."""

    per_kwh: Figure = Figure()
    pue: Pue = Figure()


class Staff(Section):
    """What a person costs `per_year`, all included, and the share of one that each way takes."""

    per_year: Figure = Figure()
    student: Share = Figure()
    teacher: Share = Figure()
    api: Share = Figure()


class Distillation(Section):
    """How often a year it is distilled again, and hours of the training machine each time."""

    per_year: Figure = Figure()
    hours: Figure = Figure()


class Labelling(Section):
    """People's hours of labelling and reviewing."""

    per_hour: Figure = Figure()
    hours_per_year: Figure = Figure()


class Tokens(Section):
    """Of a request to an API, which has to be told the task each time."""

    input: Figure = Figure()
    output: Figure = Figure()


class Api(Section):
    name: Annotated[str, Field(min_length=1, max_length=60)]
    per_million_input: Figure = Figure()
    per_million_output: Figure = Figure()


class Prices(Section):
    """The whole file. `as_of` is the day that figures without one of their own were true on."""

    currency: str
    as_of: datetime.date
    requests_per_month: Positive
    machines: Machines = Machines()
    power: Power = Power()
    staff: Staff = Staff()
    distillation: Distillation = Distillation()
    labelling: Labelling = Labelling()
    tokens: Tokens = Tokens()
    api: list[Api] = Field(default_factory=list)

    @field_validator("currency")
    @classmethod
    def _is_a_currency(cls, value: str) -> str:
        if len(value) != 3 or not value.isascii() or not value.isalpha() or not value.isupper():
            raise ValueError("write its ISO 4217 code, such as EUR, USD or THB")
        return value

    @model_validator(mode="after")
    def _names_are_told_apart(self) -> Prices:
        names = [api.name for api in self.api]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise FieldError(("api", number, "name"), f"{name!r} stands more than once")
        return self


def read_prices(file: Path) -> Prices:
    """Raises `ConfigError` with file, line, field and remedy."""
    values, lines = explain.read_yaml(file)
    try:
        return Prices.model_validate(values)
    except ValidationError as error:
        raise explain.explain(error, file, lines, Prices) from None
