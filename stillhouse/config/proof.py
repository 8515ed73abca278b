"""Sections of what a student is put to the proof by: edge cases, calibration, the cascade."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stillhouse.config.base import Fraction, Section


class Calibration(Section):
    """`precision` is what answers above the threshold of confidence are to have; below it, the
    teacher or a person answers. `person_cost` is what a person's answer costs, in answers of the
    teacher."""

    precision: Annotated[float, Field(gt=0, lt=1)] = 0.95
    person_cost: Annotated[float, Field(ge=0)] | None = None


class EdgeCases(Section):
    """`per_kind` bounds how many are made of each kind from test texts, 0 makes none; the check on
    them warns where more than `max_failures` of a kind fail, chance aside."""

    per_kind: Annotated[int, Field(ge=0)] = 10
    max_failures: Fraction = 0.2
    seed: int = 7
