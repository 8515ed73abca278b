"""Facts of the comparison of candidate teachers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TeacherComparisonFacts:
    """`candidates` are all teacher versions there are, `refused` those that the licence gate keeps
    out, `unable` those that are not here, can't be read, or don't fit. Of the others `asked` were
    asked now, and `reused` keep the figures they had. `pairs` counts those of the validation split
    that each was asked; `best` is the first of the table, with its score."""

    digest: str
    candidates: int
    refused: list[str]
    unable: list[str]
    asked: list[str]
    reused: int
    pairs: int
    best: str | None
    best_score: float | None
