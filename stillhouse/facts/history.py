"""Facts of the comparison of teacher versions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GrownGapFacts:
    """The gap between teacher and quantized student on a task, in points of its score, that grew
    by more than chance explains from the version `before` to the one `after`. `low` and `high` are
    the 95 % interval of how much it grew; `quantization` is the part that quantization costs."""

    student: str
    task: str
    before: str
    after: str
    gap_before: float
    gap_after: float
    low: float
    high: float
    quantization: float


@dataclass(frozen=True)
class VersionComparisonFacts:
    """`reports` counts students times teacher versions, `compared` pairs of versions that follow
    each other, by student and task. `remedies` are sentences on what grew."""

    digest: str
    reports: int
    versions: list[str]
    compared: int
    largest_gap: float | None
    grown: list[GrownGapFacts]
    remedies: list[str]
