"""Facts of what a student costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TcoReportFacts:
    """Money in `currency`, by prices of the day `as_of`. `months` has by student what each way
    costs in a month, `break_even` the requests a month from which on the student is cheaper than
    the other way (None: never). `to_fill_in` are figures that the price file still lacks. Without a
    price file all of it is empty."""

    digest: str
    version: str | None
    currency: str | None
    as_of: str | None
    months: dict[str, dict[str, float]]
    break_even: dict[str, dict[str, float | None]]
    to_fill_in: list[str]
